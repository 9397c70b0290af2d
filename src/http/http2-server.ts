/** Serves HTTP/2 on connections that were accepted, within caps: streams, resets, and crumbs of requests. */
import {
  constants,
  createServer,
  type Http2Server,
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { closeAnswered } from '../rpc/close-when-answered.ts';
import { turnOf } from '../storage/async/fair-turn.ts';
import type { Caller } from '../storage/domain/caller.ts';
import type { Logger } from '../storage/domain/logger.ts';
import type { Connection, Connections } from './connections.ts';
import { streamsOpenedIn } from './first-frames.ts';
import { watchPieces } from './pieces.ts';
import type { Handler } from './router.ts';

/** The receive window of a connection; the window of each stream is what limits a sender. */
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
/** Memory that Node may use for a connection, in MB; with its default, 64 parallel downloads fail. */
const MAX_SESSION_MEMORY_MB = 1000;
/** Streams that a peer may have open over all its connections, and may waste at once, as a multiple of those of one. */
const STREAMS_OF_A_PEER = 4;
/** Streams that a client may reset for long; as many as it may have open at once come on top. */
const RESETS_PER_SECOND = 100;

export interface Http2Options {
  /** Open streams of each connection. */
  maxStreams: number;
  /** How long a new connection may take to send its HTTP/2 preface. */
  prefaceMs: number;
  log: Logger;
  /** Takes a stream; where it returns false, `onRequest` has it. */
  onStream?: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, caller: Caller) => boolean;
  onRequest: Handler;
}

export interface Http2 {
  readonly server: Http2Server;
  serve(connection: Connection): void;
}

export function createHttp2(options: Http2Options, connections: Connections): Http2 {
  const { maxStreams, prefaceMs, log } = options;
  const maxOfPeer = maxStreams * STREAMS_OF_A_PEER;
  const server = createServer({
    settings: { maxConcurrentStreams: maxStreams },
    maxSessionMemory: MAX_SESSION_MEMORY_MB,
    // A client that resets more is sent away: each costs as much as a call, and none counts as open.
    streamResetBurst: maxStreams,
    streamResetRate: RESETS_PER_SECOND,
  });
  let accepted: Connection;
  server.on('session', (session) => {
    const connection = accepted;
    connection.session = session;
    session.on('stream', (stream, headers, _flags, rawHeaders) => {
      // A connection that fails ends its streams with its error; whoever serves one has a listener of its own.
      stream.on('error', () => {});
      if (connections.isWasting(connection, maxOfPeer)) {
        session.destroy();
        return;
      }
      if (stream.destroyed) {
        // Opened and reset in bytes that were there before the session was.
        connections.waste(connection);
        return;
      }
      watchPieces(
        stream,
        (piece) => connections.isCrumbling(connection, piece),
        () => endCrumbling(stream, session),
      );
      if (connections.addStream(connection, stream) > maxOfPeer) {
        // A client may try again.
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
        connections.waste(connection);
        return;
      }
      stream.once('close', () => stream.aborted && connections.waste(connection));
      // Not by the event `request`, which makes both objects for streams, too, that are reset before their turn comes.
      const caller = connections.callerOf(connection, headers);
      const serve = () => serveStream(stream, headers, rawHeaders, caller, options);
      const turn = turnOf(caller);
      if (turn === undefined) serve();
      else turn.then(serve);
    });
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    closeIfSilent(session, prefaceMs);
  });
  server.on('sessionError', (error) => log.debug({ err: error }, 'a connection failed'));
  const serve = (connection: Connection) => {
    const { socket } = connection;
    const first: Buffer | null = socket.read();
    if (first !== null) socket.unshift(first);
    // Node makes streams of all that has come already, and says so only then.
    if (first !== null && connections.isWasting(connection, maxOfPeer, streamsOpenedIn(first))) {
      socket.destroy();
      return;
    }
    // The session is made within, and emitted at once.
    accepted = connection;
    server.emit('connection', socket);
  };
  return { server, serve };
}

/** Node passes over what else it has read for a stream that is destroyed: thousands of frames, each a call otherwise. */
function endCrumbling(stream: ServerHttp2Stream, session: ServerHttp2Session): void {
  stream.destroy();
  // Not within the reading of the connection, which goes on behind this.
  setImmediate(() => session.destroy());
}

function serveStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: string[],
  caller: Caller,
  { onStream, onRequest }: Pick<Http2Options, 'onStream' | 'onRequest'>,
): void {
  if (stream.destroyed) return;
  if (headers[':path'] === undefined) {
    // CONNECT has none.
    stream.respond({ ':status': 405 }, { endStream: true });
    return;
  }
  if (onStream?.(stream, headers, caller)) return;
  closeBehindAnswer(stream);
  onRequest(new Http2ServerRequest(stream, headers, {}, rawHeaders), new Http2ServerResponse(stream), caller);
}

/**
 * A client that has its answer may still send; the stream would stay open until it ends, and a browser looks at no answer
 * before that.
 */
function closeBehindAnswer(stream: ServerHttp2Stream): void {
  // Not when the response has finished, which says so only once the stream is closed.
  stream.once('finish', () => {
    if (!stream.destroyed && !stream.endAfterHeaders && !stream.readableEnded) closeAnswered(stream);
  });
}

function closeIfSilent(session: ServerHttp2Session, prefaceMs: number): void {
  const timer = setTimeout(() => session.destroy(), prefaceMs);
  const spoke = () => clearTimeout(timer);
  session.once('remoteSettings', spoke).once('close', spoke);
}
