/** Serves HTTP/1.1 on connections that were accepted, within caps: headers, pipelined requests, crumbs and rests. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { turnOf } from '../storage/async/fair-turn.ts';
import type { Caller } from '../storage/domain/caller.ts';
import type { Logger } from '../storage/domain/logger.ts';
import type { Connection, Connections } from './connections.ts';
import { watchPieces } from './pieces.ts';
import type { Handler } from './router.ts';

/**
 * `import` reads every export of a module; of this one three come from the client behind `fetch`, which takes 14 MB and
 * 45 ms to load.
 */
const { createServer } = process.getBuiltinModule('node:http');

const MAX_HEADER_BYTES = 16 * 1024;
/** Longer than proxies keep theirs, so that none sends a request into a connection that closes. */
const KEEP_ALIVE_MS = 75_000;
/** Requests that a client may send before it has the answer to the first of them. */
const MAX_PIPELINED = 16;
/** What a parser is told of a request whose connection goes on with another protocol. */
const IS_UPGRADE = 2;
/** How long a client that is sent away may take to read why. */
const FAREWELL_MS = 1_000;
/** The lines of what cannot be parsed, by the code of Node's error. */
const ANSWERS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

export interface Http1Options {
  /** How long the headers of a request may take. */
  headersMs: number;
  log: Logger;
  onRequest: Handler;
}

export interface Http1 {
  serve(connection: Connection): void;
  /** Closes connections without a request, and the others behind theirs. */
  close(): void;
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

export function createHttp1({ headersMs, log, onRequest }: Http1Options, connections: Connections): Http1 {
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: headersMs,
    // An upload may take longer than any request should; whoever reads one has timers of its own.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(headersMs / 2, 1_000),
    keepAliveTimeout: KEEP_ALIVE_MS,
  });
  // It does not listen itself; from this event on it looks for slow headers.
  server.emit('listening');
  const served = new WeakMap<Duplex, Connection>();
  const waiting = new WeakMap<Connection, Exchange[]>();
  let isClosing = false;

  const begin = (connection: Connection, exchange: Exchange) => {
    const { request, response } = exchange;
    connections.addStream(connection, response);
    response.once('close', () => {
      endUnread(exchange, connection);
      const next = waiting.get(connection)?.shift();
      if (next === undefined) waiting.delete(connection);
      else if (!connection.socket.destroyed) begin(connection, next);
      if (isClosing) setImmediate(() => server.closeIdleConnections());
    });
    if (isClosing) response.setHeader('connection', 'close');
    const caller = connections.callerOf(connection, request.headers);
    const serve = () => onRequest(request, response, caller);
    const turn = turnOf(caller);
    if (turn === undefined) serve();
    else turn.then(() => response.destroyed || serve());
  };

  server.on('request', (request, response) => {
    const connection = served.get(request.socket)!;
    const { socket } = connection;
    watchPieces(
      request,
      (piece) => connections.isCrumbling(connection, piece),
      // Not within the reading of the connection, which goes on behind this.
      () => setImmediate(() => socket.destroy()),
    );
    const queue = waiting.get(connection);
    if (queue === undefined) {
      waiting.set(connection, []);
      begin(connection, { request, response });
    } else if (queue.push({ request, response }) > MAX_PIPELINED) endPipeline(socket);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // Not the error itself: it has what was received.
    log.debug({ code: error.code, problem: error.message }, 'a connection failed');
    refuse(socket, error.code);
  });

  return {
    serve(connection) {
      const { socket } = connection;
      served.set(socket, connection);
      // Who has sent a request may close that side, and still reads the answer.
      socket.allowHalfOpen = true;
      server.emit('connection', socket);
    },
    close() {
      isClosing = true;
      server.close(() => undefined);
      server.closeIdleConnections();
    },
  };
}

/** Node parses all that it has read, a thousand small requests, in one go; after what claims to be an upgrade it stops. */
function endPipeline(socket: Socket): void {
  const { parser } = socket as Socket & { parser: { onIncoming: unknown } | null };
  if (parser !== null) parser.onIncoming = () => IS_UPGRADE;
  setImmediate(() => socket.destroy());
}

/** A request that was answered before it was read would keep its connection, and whoever sends it, for ever. */
function endUnread({ request }: Exchange, { socket, caller }: Connection): void {
  if (request.complete || socket.destroyed) return;
  socket.end();
  dropRest(request, caller);
  setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
}

/**
 * Reads and drops what a client still sends: a reset would take the answer from it. By an event, since `resume` alone does
 * nothing while whoever read it lets go of it.
 */
function dropRest(request: IncomingMessage, caller: Caller): void {
  request
    .on('data', () => {
      const turn = turnOf(caller);
      if (turn === undefined) return;
      request.pause();
      turn.then(() => request.resume());
    })
    .resume();
}

function refuse(socket: Duplex, code = ''): void {
  const isAnswering = (socket as Duplex & { _httpMessage?: ServerResponse })._httpMessage?.headersSent ?? false;
  if (!socket.writable || isAnswering || code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = ANSWERS[code] ?? '400 Bad Request';
  const [, message = ''] = /^\d+ (.*)$/.exec(status)!;
  const body = JSON.stringify({ code: 'invalid_argument', reason: 'REQUEST_INVALID', message });
  const head = [
    `HTTP/1.1 ${status}`,
    'content-type: application/json',
    'cache-control: no-store',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  socket.resume();
  setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
}
