/** Listens on TCP addresses and Unix sockets, for HTTP/2 and HTTP/1.1 with and without TLS, within caps, and drains on close. */
import { once } from 'node:events';
import { access, chmod, lstat, unlink } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type ListenOptions, type Server } from 'node:net';
import { dirname } from 'node:path';
import { type Address, formatAddress, isLocalAddress } from '../address.ts';
import type { TlsIdentity } from '../auth/tls.ts';
import { turnOf } from '../storage/async/fair-turn.ts';
import { type Connection, Connections } from './connections.ts';
import { type Protocol, whenProtocolIsKnown } from './first-bytes.ts';
import { trustProxies } from './forwarded.ts';
import { createHttp1, type Http1 } from './http1-server.ts';
import { createHttp2, type Http2Options } from './http2-server.ts';
import { createReceiveWindows } from './receive-windows.ts';
import { createTls, type TlsServer } from './tls-server.ts';

/** Keeps a new socket to the daemon's user until it has its final mode. */
const UMASK_OF_SOCKETS = 0o177;
/** How long a client that has its answers has to take them and close the connection. */
const LINGER_MS = 1000;
/** What chmod fails with on file systems where sockets have no permissions of their own, such as virtiofs. */
const HAVE_NO_MODES = new Set<string | undefined>(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP']);

export interface ListenerOptions extends Http2Options {
  addresses: readonly Address[];
  /** Permissions of Unix sockets. */
  socketMode: number;
  maxConnections: number;
  /** Whose word on where a request comes from counts. */
  trustedProxies: readonly string[];
  /** Bytes that all streams together may buffer unread. */
  receiveBufferBytes: number;
  /** With it, addresses that other machines reach take TLS only, and the other ones take it, too. */
  tls?: TlsIdentity;
}

export interface Listener {
  /** `host:port`, `[v6]:port` or `unix:PATH`, with the actual port. */
  readonly addresses: string[];
  /** Takes another certificate, for connections that come from now on. */
  renew(tls: TlsIdentity): void;
  /** Stops accepting, lets what runs finish, and cuts what still runs after the grace. */
  close(graceMs: number): Promise<void>;
}

/** Rejects when it cannot listen on one of the addresses, and leaves none open. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const windows = createReceiveWindows(options.receiveBufferBytes);
  const proxies = trustProxies(options.trustedProxies);
  const connections = new Connections(options.maxConnections, options.log, proxies);
  const http2 = createHttp2(options, connections);
  const http1 = createHttp1({ ...options, headersMs: options.prefaceMs }, connections);
  windows.govern(http2.server);
  const servers: Record<Protocol, { serve(connection: Connection): void }> = { h2: http2, 'http/1.1': http1 };
  const serve = (connection: Connection, protocol: Protocol) => {
    connection.protocol = protocol;
    servers[protocol].serve(connection);
  };
  const { prefaceMs: handshakeMs, log } = options;
  const tls = options.tls && createTls({ identity: options.tls, handshakeMs, log, serve });
  const acceptors: Server[] = [];
  const close = (graceMs: number) => drain(acceptors, http1, connections, graceMs);
  try {
    const addresses: string[] = [];
    for (const address of options.addresses) {
      const acceptor = createAcceptor(address, options, connections, { serve, tls });
      // Before it listens: one that fails after that is closed, too.
      acceptors.push(acceptor);
      addresses.push(await listen(acceptor, address, options));
    }
    return { addresses, renew: (identity) => tls?.renew(identity), close };
  } catch (error) {
    await close(0);
    throw error;
  }
}

interface Servers {
  serve(connection: Connection, protocol: Protocol): void;
  tls: TlsServer | undefined;
}

/** Accepts connections, and hands each to the server of its protocol. */
function createAcceptor(
  address: Address,
  { prefaceMs }: ListenerOptions,
  connections: Connections,
  { serve, tls }: Servers,
): Server {
  const isLocal = isLocalAddress(address);
  return createServer({ noDelay: true }, (socket) => {
    const connection = connections.add(socket, isLocal);
    const takesTls = tls !== undefined && socket.remotePort !== undefined;
    whenProtocolIsKnown(socket, { silentMs: prefaceMs, takesTls }, (protocol) => {
      if (protocol === 'tls' && takesTls) inTurn(connection, tls.take);
      else if (tls !== undefined && !isLocal) socket.destroy();
      else if (protocol === 'h2') inTurn(connection, () => serve(connection, protocol));
      // What is neither HTTP/2 nor TLS is answered that it is no request. What came meanwhile would be parsed at once.
      else serve(connection, 'http/1.1');
    });
  });
}

/**
 * A handshake takes a millisecond or two, and so may the hundreds of requests in the first bytes of HTTP/2: those of one
 * peer do not come before that of the next.
 */
function inTurn(connection: Connection, take: TlsServer['take']): void {
  const turn = turnOf(connection.caller);
  if (turn === undefined) take(connection);
  else turn.then(() => connection.socket.destroyed || take(connection));
}

/** Returns the address as text, with the actual port. */
async function listen(server: Server, address: Address, options: ListenerOptions): Promise<string> {
  try {
    if ('path' in address) await listenOnSocket(server, address.path, options);
    else await started(server, address);
    server.on('error', (error) => options.log.warn({ err: error }, 'a connection could not be accepted'));
    return formatAddress('path' in address ? address : { ...address, port: (server.address() as AddressInfo).port });
  } catch (cause) {
    throw new Error(`cannot listen on ${formatAddress(address)}: ${(cause as Error).message}`, { cause });
  }
}

async function listenOnSocket(server: Server, path: string, { socketMode, log }: ListenerOptions): Promise<void> {
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

/**
 * Connections that wait to be accepted; Linux takes no more than net.core.somaxconn. Beyond Node's own 511, one that is
 * opened while others open hundreds has to ask again, after one second and after three.
 */
const BACKLOG = 4096;

async function started(server: Server, options: ListenOptions): Promise<void> {
  const listening = once(server, 'listening');
  server.listen({ ...options, backlog: BACKLOG });
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

/**
 * Sends GOAWAY on every connection of HTTP/2, which then closes behind its last stream, as those of HTTP/1.1 behind their
 * request; cuts those left after the grace. Whoever has its answers does not hold up the rest.
 */
async function drain(acceptors: Server[], http1: Http1, connections: Connections, graceMs: number): Promise<void> {
  const closed = Promise.all(acceptors.map((acceptor) => new Promise((resolve) => acceptor.close(resolve))));
  for (const { session, socket, protocol } of connections) {
    if (protocol === undefined) socket.destroy();
    // Node has ended this side, and waits for the end of the other, which a client that is stopped or gone never sends.
    socket.once('finish', () => setTimeout(() => socket.destroy(), LINGER_MS).unref());
    session?.close();
  }
  http1.close();
  const cut = setTimeout(() => {
    for (const { socket } of connections) socket.destroy();
  }, graceMs);
  await closed;
  clearTimeout(cut);
  connections.close();
}
