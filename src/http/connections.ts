/** The open connections: how much each peer has, and which one is closed when there are too many. */
import type { IncomingHttpHeaders } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Stream } from 'node:stream';
import type { Caller } from '../storage/domain/caller.ts';
import type { Logger } from '../storage/domain/logger.ts';
import type { Protocol } from './first-bytes.ts';
import { forwarded, type Proxies } from './forwarded.ts';
import { callerOf } from './peers.ts';

const WARN_EVERY_MS = 60_000;
/** How often it is looked how much each connection moves, and wastes. */
const LOOK_EVERY_MS = 1_000;
/** Streams that a peer may waste for long, over all its connections. */
const WASTED_PER_SECOND = 400;
/** Streams that each connection of a peer that wastes more may have, open and wasted. */
const STREAMS_OF_ONE = 8;
const WASTED_OF_ONE_PER_SECOND = 1;
/** Clients send pieces of 16 KiB, or whole messages: in one turn, a message or two of each stream. A piece costs 10 us. */
const CRUMB_BYTES = 64;
const CRUMBS_AT_ONCE = 500;
const CRUMBS_OF_A_PEER = 2_000;
/** How long a client that is sent away may take to read why. */
const FAREWELL_MS = 1_000;

export interface Connection {
  /** With its certificate, once TLS is known to be that of a client with one. */
  caller: Caller;
  /** Behind TLS: what carries the plain bytes. */
  socket: Socket;
  /** Unset until its first bytes tell. */
  protocol?: Protocol;
  session?: ServerHttp2Session;
  /** Whether a proxy that is trusted made it. */
  isProxy: boolean;
  /** Open ones; of HTTP/1.1, requests that are served. */
  streams: number;
  /** When a stream was opened or closed last. */
  activeAt: number;
  /** Bytes both ways: all that were counted, and those of the last second. */
  counted: number;
  moved: number;
  /** Streams that ended before their answers did, less those of a while ago. */
  wasted: number;
  /** Of this turn of the event loop: pieces of a request of a few bytes. */
  crumbs: number;
}

interface Peer {
  connections: Set<Connection>;
  /** Over all its connections, those that are gone, too. */
  streams: number;
  wasted: number;
  /** Of this turn, over all its connections. */
  crumbs: number;
}

/** Makes room for a new connection by closing the idlest of the peer that has most. */
export class Connections {
  readonly #max: number;
  readonly #log: Logger;
  readonly #proxies: Proxies;
  readonly #open = new Set<Connection>();
  readonly #peers = new Map<string, Peer>();
  readonly #looking: NodeJS.Timeout;
  #closed = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(max: number, log: Logger, proxies: Proxies) {
    this.#max = max;
    this.#log = log;
    this.#proxies = proxies;
    this.#looking = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  /** Ends the timer; what is open stays so. */
  close(): void {
    clearInterval(this.#looking);
  }

  [Symbol.iterator](): Iterator<Connection> {
    return this.#open.values();
  }

  add(socket: Socket, isLocal: boolean): Connection {
    if (this.#open.size >= this.#max) this.#makeRoom();
    const caller = callerOf(socket, isLocal);
    const connection: Connection = {
      caller,
      socket,
      isProxy: this.#proxies.has(socket.remoteAddress),
      streams: 0,
      activeAt: performance.now(),
      counted: 0,
      moved: 0,
      wasted: 0,
      crumbs: 0,
    };
    const peer = this.#peers.get(caller.peer) ?? { connections: new Set(), streams: 0, wasted: 0, crumbs: 0 };
    peer.connections.add(connection);
    this.#peers.set(caller.peer, peer);
    this.#open.add(connection);
    socket.once('close', () => this.#remove(connection));
    return connection;
  }

  /** Returns who a request is from. */
  callerOf({ caller, isProxy }: Connection, headers: IncomingHttpHeaders): Caller {
    return isProxy ? forwarded(caller, headers, this.#proxies) : caller;
  }

  /** Counts a stream until it is closed; returns how many the peer has. */
  addStream(connection: Connection, stream: Stream): number {
    const peer = this.#peers.get(connection.caller.peer);
    const count = (by: number) => {
      connection.streams += by;
      connection.activeAt = performance.now();
      if (peer !== undefined) peer.streams += by;
      this.#forgetIfGone(connection.caller.peer);
    };
    count(1);
    stream.once('close', () => count(-1));
    return peer?.streams ?? 0;
  }

  /** Counts a stream that was reset, refused or left behind: it has cost as much as one that is answered. */
  waste(connection: Connection): void {
    connection.wasted += 1;
    const peer = this.#peers.get(connection.caller.peer);
    if (peer !== undefined) peer.wasted += 1;
  }

  /** Whether the connection wastes streams, or may be about to, while its peer has wasted more than so many. */
  isWasting({ streams, wasted, caller }: Connection, maxOfPeer: number, opening = 1): boolean {
    if (streams + wasted + opening <= STREAMS_OF_ONE) return false;
    return (this.#peers.get(caller.peer)?.wasted ?? 0) > maxOfPeer;
  }

  /** Whether the connection sends its requests in crumbs, while its peer does so by the thousand. */
  isCrumbling(connection: Connection, piece: Uint8Array): boolean {
    if (piece.length >= CRUMB_BYTES) return false;
    const peer = this.#peers.get(connection.caller.peer);
    if (connection.crumbs === 0) setImmediate(forgetCrumbs, connection, peer);
    connection.crumbs += 1;
    if (peer !== undefined) peer.crumbs += 1;
    return connection.crumbs > CRUMBS_AT_ONCE && (peer?.crumbs ?? 0) > CRUMBS_OF_A_PEER;
  }

  #remove(connection: Connection): void {
    if (!this.#open.delete(connection)) return;
    const { peer } = connection.caller;
    this.#peers.get(peer)!.connections.delete(connection);
    this.#forgetIfGone(peer);
  }

  #forgetIfGone(name: string): void {
    const peer = this.#peers.get(name);
    if (peer?.connections.size === 0 && peer.streams === 0 && peer.wasted === 0) this.#peers.delete(name);
  }

  #look(): void {
    for (const connection of this.#open) {
      const { bytesRead, bytesWritten } = connection.socket;
      connection.moved = bytesRead + bytesWritten - connection.counted;
      connection.counted += connection.moved;
      connection.wasted = Math.max(connection.wasted - WASTED_OF_ONE_PER_SECOND, 0);
    }
    for (const [name, peer] of this.#peers) {
      peer.wasted = Math.max(peer.wasted - WASTED_PER_SECOND, 0);
      this.#forgetIfGone(name);
    }
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

function forgetCrumbs(connection: Connection, peer: Peer | undefined): void {
  connection.crumbs = 0;
  if (peer !== undefined) peer.crumbs = 0;
}

/** One without streams is idler than one with; of those with, the one that moved less; then the one that is older. */
function isIdler(a: Connection, b: Connection): boolean {
  const [aIdle, bIdle] = [a.streams === 0, b.streams === 0];
  if (aIdle !== bIdle) return aIdle;
  if (!aIdle && a.moved !== b.moved) return a.moved < b.moved;
  return a.activeAt < b.activeAt;
}

function sendAway({ socket, session }: Connection): void {
  if (session === undefined || session.destroyed) {
    socket.destroy();
    return;
  }
  session.destroy();
  setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
}
