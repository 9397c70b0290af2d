/** One call on a stream of node:http2, from its headers to its trailers. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { DescMethod } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import type { Caller } from '../../storage/domain/caller.ts';
import type { Logger } from '../../storage/domain/logger.ts';
import { cancelled, startCall } from '../call.ts';
import { closeWhenAnswered } from '../close-when-answered.ts';
import { connectStatusOf, toConnectError } from '../errors.ts';
import type { Status } from '../status.ts';

const HEADERS: Readonly<OutgoingHttpHeaders> = { ':status': 200, 'content-type': 'application/grpc+proto' };
const OK: Readonly<OutgoingHttpHeaders> = { 'grpc-status': '0' };

export interface RawOptions {
  log: Logger;
  /** How long the request of an rpc without a request stream may take to arrive. */
  requestMs: number;
}

export interface CallSettings extends RawOptions {
  method: DescMethod;
  caller: Caller;
  /** How long the client waits. */
  timeoutMs: number | undefined;
}

export interface RawCall {
  readonly stream: ServerHttp2Stream;
  readonly caller: Caller;
  readonly requestMs: number;
  /** Fires when the client has left, or no longer waits. */
  readonly signal: AbortSignal;
}

/** Answers a call: what `answer` writes, and the status of how it ends. */
export function serveCall(
  stream: ServerHttp2Stream,
  { log, method, caller, requestMs, timeoutMs }: CallSettings,
  answer: (call: RawCall) => Promise<void>,
): void {
  const ended = new AbortController();
  const { signal } = ended;
  stream.once('close', () => ended.abort(cancelled(undefined)));
  // Whoever writes hears of it, too.
  stream.on('error', (error) => log.debug({ method: method.name, err: error }, 'a stream failed'));
  const deadline = startDeadline(ended, timeoutMs);
  const call = startCall({ log, method: method.name, signal, statusOf: connectStatusOf });
  answer({ stream, caller, requestMs, signal })
    .then(
      () => {
        call.succeeded();
        return OK;
      },
      (error) => trailersOf(call.failed(error)),
    )
    .then((trailers) => {
      clearTimeout(deadline);
      end(stream, trailers);
    })
    .catch((error) => log.error({ method: method.name, err: error }, 'a call could not be ended'));
}

/** Sends the headers, unless they are out. */
export function respond(stream: ServerHttp2Stream): void {
  if (!stream.headersSent && !stream.destroyed)
    stream.respond(HEADERS as OutgoingHttpHeaders, { waitForTrailers: true });
}

function startDeadline(ended: AbortController, timeoutMs: number | undefined): NodeJS.Timeout | undefined {
  if (timeoutMs === undefined) return undefined;
  const expire = () => ended.abort(new ConnectError('the operation timed out', Code.DeadlineExceeded));
  if (timeoutMs > 0) return setTimeout(expire, timeoutMs);
  expire();
  return undefined;
}

function trailersOf(status: Status): OutgoingHttpHeaders {
  return Object.fromEntries(setTrailerStatus(new Headers(OK as Record<string, string>), toConnectError(status)));
}

function end(stream: ServerHttp2Stream, trailers: IncomingHttpHeaders | OutgoingHttpHeaders): void {
  if (stream.destroyed || stream.closed) return;
  stream.once('wantTrailers', () => stream.sendTrailers(trailers));
  closeWhenAnswered(stream);
  respond(stream);
  stream.end();
}
