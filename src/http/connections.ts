/** The open connections: how much each peer has, and which one is closed when there are too many. */
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Caller } from '../storage/domain/caller.ts';
import type { Logger } from '../storage/domain/logger.ts';
import { callerOf } from './peers.ts';

const WARN_EVERY_MS = 60_000;
/** How long a client that is sent away may take to read why. */
const FAREWELL_MS = 1_000;

export interface Connection {
  readonly caller: Caller;
  readonly socket: Socket;
  session?: ServerHttp2Session;
  /** Open ones. */
  streams: number;
  /** When a stream was opened or closed last. */
  activeAt: number;
  /** Of this turn of the event loop: the stream that was opened last, and how many were reset before the next came. */
  latest?: ServerHttp2Stream;
  resets: number;
}

interface Peer {
  connections: Set<Connection>;
  streams: number;
}

/** Makes room for a new connection by closing the idlest of the peer that has most. */
export class Connections {
  readonly #max: number;
  readonly #log: Logger;
  readonly #open = new Set<Connection>();
  readonly #peers = new Map<string, Peer>();
  #closed = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(max: number, log: Logger) {
    this.#max = max;
    this.#log = log;
  }

  [Symbol.iterator](): Iterator<Connection> {
    return this.#open.values();
  }

  add(socket: Socket): Connection {
    if (this.#open.size >= this.#max) this.#makeRoom();
    const caller = callerOf(socket);
    const connection = { caller, socket, streams: 0, activeAt: performance.now(), resets: 0 };
    const peer = this.#peers.get(caller.peer) ?? { connections: new Set(), streams: 0 };
    peer.connections.add(connection);
    this.#peers.set(caller.peer, peer);
    this.#open.add(connection);
    socket.once('close', () => this.#remove(connection));
    return connection;
  }

  /** Counts a stream until it is closed; returns how many the peer has. */
  addStream(connection: Connection, stream: ServerHttp2Stream): number {
    const peer = this.#peers.get(connection.caller.peer);
    const count = (by: number) => {
      connection.streams += by;
      connection.activeAt = performance.now();
      if (peer !== undefined) peer.streams += by;
    };
    count(1);
    stream.once('close', () => count(-1));
    return peer?.streams ?? 0;
  }

  /** Returns how many streams the connection has opened and reset since the event loop came round. */
  resetsAtOnce(connection: Connection, opened: ServerHttp2Stream): number {
    if (connection.latest === undefined) setImmediate(forgetResets, connection);
    else if (connection.latest.closed) connection.resets += 1;
    connection.latest = opened;
    return connection.resets;
  }

  #remove(connection: Connection): void {
    if (!this.#open.delete(connection)) return;
    const { peer: name } = connection.caller;
    const peer = this.#peers.get(name)!;
    peer.connections.delete(connection);
    if (peer.connections.size === 0) this.#peers.delete(name);
  }

  #makeRoom(): void {
    const sizeOf = ({ caller }: Connection) => this.#peers.get(caller.peer)!.connections.size;
    const most = Math.max(...[...this.#peers.values()].map(({ connections }) => connections.size));
    const candidates = [...this.#open].filter((connection) => sizeOf(connection) === most);
    const idlest = candidates.reduce((a, b) => (isIdler(b, a) ? b : a));
    this.#warn(idlest.caller.peer, most);
    this.#remove(idlest);
    sendAway(idlest);
  }

  #warn(peer: string, connections: number): void {
    this.#closed += 1;
    if (performance.now() - this.#warnedAt < WARN_EVERY_MS) return;
    const message = 'limits.maxConnections is reached: the idlest connections are closed for new ones';
    this.#log.warn({ closed: this.#closed, peer, connectionsOfPeer: connections }, message);
    this.#warnedAt = performance.now();
    this.#closed = 0;
  }
}

function forgetResets(connection: Connection): void {
  connection.latest = undefined;
  connection.resets = 0;
}

/** One without streams is idler than one with; then the one that did nothing for longer. */
function isIdler(a: Connection, b: Connection): boolean {
  const [aIdle, bIdle] = [a.streams === 0, b.streams === 0];
  return aIdle === bIdle ? a.activeAt < b.activeAt : aIdle;
}

function sendAway({ socket, session }: Connection): void {
  if (session === undefined || session.destroyed) {
    socket.destroy();
    return;
  }
  session.destroy();
  setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
}
