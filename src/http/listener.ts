/** Listens for HTTP/2 without TLS on TCP addresses and Unix sockets, within caps, and drains on close. */
import { once } from 'node:events';
import { access, chmod, lstat, unlink } from 'node:fs/promises';
import {
  createServer,
  type Http2Server,
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, connect, type ListenOptions, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { type Address, formatAddress } from '../address.ts';
import { turnOf } from '../storage/async/fair-turn.ts';
import type { Caller } from '../storage/domain/caller.ts';
import type { Logger } from '../storage/domain/logger.ts';
import { type Connection, Connections } from './connections.ts';
import { createReceiveWindows } from './receive-windows.ts';
import type { Handler } from './router.ts';

/** The receive window of a connection; the window of each stream is what limits a sender. */
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
/** Memory that Node may use for a connection, in MB; with its default, 64 parallel downloads fail. */
const MAX_SESSION_MEMORY_MB = 1000;
/** Streams that a peer may have open over all its connections, as a multiple of those of one. */
const STREAMS_OF_A_PEER = 4;
/** Streams that a client may reset for long; as many as it may have open at once come on top. */
const RESETS_PER_SECOND = 100;
/** Keeps a new socket to the daemon's user until it has its final mode. */
const UMASK_OF_SOCKETS = 0o177;
/** What chmod fails with on file systems where sockets have no permissions of their own, such as virtiofs. */
const HAVE_NO_MODES = new Set<string | undefined>(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP']);

export interface ListenerOptions {
  addresses: readonly Address[];
  /** Permissions of Unix sockets. */
  socketMode: number;
  /** Open streams of each connection. */
  maxStreams: number;
  maxConnections: number;
  /** Bytes that all streams together may buffer unread. */
  receiveBufferBytes: number;
  /** How long a new connection may take to send its HTTP/2 preface. */
  prefaceMs: number;
  log: Logger;
  /** Takes a stream; where it returns false, `onRequest` has it. */
  onStream?: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, caller: Caller) => boolean;
  onRequest: Handler;
}

export interface Listener {
  /** `host:port`, `[v6]:port` or `unix:PATH`, with the actual port. */
  readonly addresses: string[];
  /** Stops accepting, lets what runs finish, and cuts what still runs after the grace. */
  close(graceMs: number): Promise<void>;
}

/** Rejects when it cannot listen on one of the addresses, and leaves none open. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const windows = createReceiveWindows(options.receiveBufferBytes);
  const connections = new Connections(options.maxConnections, options.log);
  const servers: Http2Server[] = [];
  const close = (graceMs: number) => drain(servers, connections, graceMs);
  try {
    const addresses: string[] = [];
    for (const address of options.addresses) {
      const server = createHttp2Server(options, connections);
      // Before it listens: one that fails after that is closed, too.
      servers.push(server);
      windows.govern(server);
      addresses.push(await listen(server, address, options));
    }
    return { addresses, close };
  } catch (error) {
    await close(0);
    throw error;
  }
}

function createHttp2Server(options: ListenerOptions, connections: Connections): Http2Server {
  const { maxStreams, prefaceMs, log } = options;
  const server = createServer({
    settings: { maxConcurrentStreams: maxStreams },
    maxSessionMemory: MAX_SESSION_MEMORY_MB,
    // A client that resets more is sent away: each costs as much as a call, and none counts as open.
    streamResetBurst: maxStreams,
    streamResetRate: RESETS_PER_SECOND,
  });
  let accepted: Connection;
  // Runs before node:http2 makes the session of the connection.
  server.prependListener('connection', (socket: Socket) => {
    accepted = connections.add(socket);
  });
  server.on('session', (session) => {
    const connection = accepted;
    connection.session = session;
    session.on('stream', (stream, headers, _flags, rawHeaders) => {
      // A connection that fails ends its streams with its error; whoever serves one has a listener of its own.
      stream.on('error', () => {});
      if (stream.destroyed) return;
      if (connections.isResetting(connection, stream)) {
        session.destroy();
        return;
      }
      watchCrumbs(stream, (piece) => connections.isCrumbling(connection, piece));
      if (connections.addStream(connection, stream) > maxStreams * STREAMS_OF_A_PEER) {
        connections.refuse(stream);
        return;
      }
      // Not by the event `request`, which makes both objects for streams, too, that are reset before their turn comes.
      const serve = () => serveStream(stream, headers, rawHeaders, connection.caller, options);
      const turn = turnOf(connection.caller);
      if (turn === undefined) serve();
      else turn.then(serve);
    });
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    closeIfSilent(session, prefaceMs);
  });
  server.on('sessionError', (error) => log.debug({ err: error }, 'a connection failed'));
  return server;
}

/** Ends the connection of a stream whose request comes in crumbs: each costs as much as a piece of many bytes. */
function watchCrumbs(stream: ServerHttp2Stream, isTooMuch: (piece: Uint8Array) => boolean): void {
  const { push } = stream;
  let isEnding = false;
  stream.push = (piece: Uint8Array | null) => {
    if (isEnding) return true;
    isEnding = piece !== null && isTooMuch(piece);
    // Not within the reading of the connection, which goes on behind this.
    if (isEnding) setImmediate(() => stream.session?.destroy());
    return push.call(stream, piece);
  };
}

function serveStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: string[],
  caller: Caller,
  { onStream, onRequest }: Pick<ListenerOptions, 'onStream' | 'onRequest'>,
): void {
  if (stream.destroyed) return;
  if (headers[':path'] === undefined) {
    // CONNECT has none.
    stream.respond({ ':status': 405 }, { endStream: true });
    return;
  }
  if (onStream?.(stream, headers, caller)) return;
  onRequest(new Http2ServerRequest(stream, headers, {}, rawHeaders), new Http2ServerResponse(stream), caller);
}

function closeIfSilent(session: ServerHttp2Session, prefaceMs: number): void {
  const timer = setTimeout(() => session.destroy(), prefaceMs);
  const spoke = () => clearTimeout(timer);
  session.once('remoteSettings', spoke).once('close', spoke);
}

/** Returns the address as text, with the actual port. */
async function listen(server: Http2Server, address: Address, options: ListenerOptions): Promise<string> {
  try {
    if ('path' in address) await listenOnSocket(server, address.path, options);
    else await started(server, address);
    server.on('error', (error) => options.log.warn({ err: error }, 'a connection could not be accepted'));
    return formatAddress('path' in address ? address : { ...address, port: (server.address() as AddressInfo).port });
  } catch (cause) {
    throw new Error(`cannot listen on ${formatAddress(address)}: ${(cause as Error).message}`, { cause });
  }
}

async function listenOnSocket(server: Http2Server, path: string, { socketMode, log }: ListenerOptions): Promise<void> {
  // libuv reports a missing folder as EACCES when it binds.
  await access(dirname(path));
  await removeStaleSocket(path);
  const umask = process.umask(UMASK_OF_SOCKETS);
  // Binds before it returns: nothing else is created under this umask.
  const listening = started(server, { path });
  process.umask(umask);
  await listening;
  try {
    await chmod(path, socketMode);
  } catch (error) {
    if (!HAVE_NO_MODES.has((error as NodeJS.ErrnoException).code)) throw error;
    log.warn(
      { err: error, path },
      'socketMode cannot be set on this file system; the socket has the mode that it gives',
    );
  }
}

async function started(server: Http2Server, options: ListenOptions): Promise<void> {
  const listening = once(server, 'listening');
  server.listen(options);
  await listening;
}

/** Removes a socket file without a listener, which a process that died has left. */
async function removeStaleSocket(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined) return;
  if (!stats.isSocket()) throw addressInUse('a file that is not a socket is in the way');
  if (await answers(path)) throw addressInUse('another process listens there');
  await unlink(path);
}

/** Returns the error of the operating system with a clearer message. */
function addressInUse(message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code: 'EADDRINUSE', syscall: 'listen' });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNREFUSED' ? resolve(false) : reject(error),
    );
  });
}

/** Sends GOAWAY on every connection, which then closes behind its last stream; cuts those left after the grace. */
async function drain(servers: Http2Server[], connections: Connections, graceMs: number): Promise<void> {
  const closed = Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  for (const { session } of connections) session?.close();
  const cut = setTimeout(() => {
    for (const { socket } of connections) socket.destroy();
  }, graceMs);
  await closed;
  clearTimeout(cut);
  connections.close();
}
