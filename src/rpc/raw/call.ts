/** One call on a stream of node:http2, from its headers to its trailers. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { DescMethod } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import type { Caller } from '../../storage/domain/caller.ts';
import type { Logger } from '../../storage/domain/logger.ts';
import { type CallMeter, type CallNotes, cancelled, startCall } from '../call.ts';
import { closeAnswered } from '../close-when-answered.ts';
import { connectStatusOf, toConnectError } from '../errors.ts';
import type { Gate } from '../gate.ts';
import type { CallObserver } from '../observer.ts';
import type { Status } from '../status.ts';

const HEADERS: Readonly<OutgoingHttpHeaders> = { ':status': 200, 'content-type': 'application/grpc+proto' };
/** Why the signal of a call fires whose answer is out: nobody looks at it. */
const ANSWERED = new Error('the call has ended');
const OK: Readonly<OutgoingHttpHeaders> = { 'grpc-status': '0' };

export interface RawOptions extends CallObserver {
  log: Logger;
  gate: Gate;
  /** How long the request of an rpc without a request stream may take to arrive. */
  requestMs: number;
}

export interface CallSettings extends Omit<RawOptions, 'gate'> {
  method: DescMethod;
  meter: CallMeter | undefined;
  caller: Caller;
  /** Its header `x-request-id`. */
  requestId: string | string[] | undefined;
  /** Returns the caller under its name; throws where it may not. */
  admit(): Caller;
  /** How long the client waits. */
  timeoutMs: number | undefined;
}

export interface RawCall {
  readonly stream: ServerHttp2Stream;
  readonly caller: Caller;
  readonly notes: CallNotes;
  readonly requestMs: number;
  /** Fires when the client has left, or no longer waits. */
  readonly signal: AbortSignal;
  /** The data of the answer is out, and the stream waits for its trailers. */
  isFinished: boolean;
}

/** Answers a call: what `answer` writes, and the status of how it ends. */
export function serveCall(
  stream: ServerHttp2Stream,
  { log, logsAccess, method, meter, caller, admit, requestId, requestMs, timeoutMs }: CallSettings,
  answer: (call: RawCall) => Promise<void>,
): void {
  const ended = new AbortController();
  const { signal } = ended;
  let isAnswered = false;
  stream.once('close', () => ended.abort(isAnswered ? ANSWERED : cancelled(undefined)));
  // Whoever writes hears of it, too.
  stream.on('error', (error) => log.debug({ method: method.name, err: error }, 'a stream failed'));
  const deadline = startDeadline(ended, timeoutMs);
  const origin = { caller, requestId };
  const call = startCall({ log, method: method.name, meter, origin, logsAccess, signal, statusOf: connectStatusOf });
  const served = { stream, caller, notes: call.notes, requestMs, signal, isFinished: false };
  const serve = async () => {
    served.caller = admit();
    origin.caller = served.caller;
    await answer(served);
  };
  serve()
    .then(
      () => {
        isAnswered = true;
        call.succeeded();
        return OK;
      },
      (error) => trailersOf(call.failed(error)),
    )
    .then((trailers) => {
      clearTimeout(deadline);
      end(served, trailers);
    })
    .catch((error) => log.error({ method: method.name, err: error }, 'a call could not be ended'));
}

/** Sends the headers, unless they are out. */
export function respond(stream: ServerHttp2Stream): void {
  if (!stream.headersSent && !stream.destroyed)
    stream.respond(HEADERS as OutgoingHttpHeaders, { waitForTrailers: true });
}

/** Ends the data of the answer; resolves once it is out. Rejects where the call ends before. */
export function finish(call: RawCall): Promise<void> {
  const { stream, signal } = call;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    stream.once('wantTrailers', () => {
      call.isFinished = true;
      resolve();
    });
    stream.end();
  });
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

function end({ stream, isFinished }: RawCall, trailers: IncomingHttpHeaders | OutgoingHttpHeaders): void {
  if (stream.destroyed || stream.closed) return;
  const send = () => {
    stream.sendTrailers(trailers);
    closeAnswered(stream);
  };
  if (isFinished) {
    send();
    return;
  }
  stream.once('wantTrailers', send);
  respond(stream);
  stream.end();
}
