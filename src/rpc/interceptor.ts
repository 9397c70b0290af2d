/** Wraps every call: folds errors on both ways, and logs one line per call without anything of its content. */
import { Code, ConnectError, type Interceptor, type StreamRequest, type StreamResponse } from '@connectrpc/connect';
import { StorageError } from '../storage/domain/errors.ts';
import type { Logger } from '../storage/domain/logger.ts';
import { cancelled, foldReadError, toConnectError } from './errors.ts';

type Level = 'info' | 'warn' | 'error';

/** What an operator should look at; all else is the caller's affair. */
const LEVEL_OF_CODE: Partial<Record<Code, Level>> = {
  [Code.Internal]: 'error',
  [Code.Unknown]: 'error',
  [Code.DataLoss]: 'error',
  [Code.FailedPrecondition]: 'warn',
  [Code.ResourceExhausted]: 'warn',
  [Code.Unavailable]: 'warn',
};

export function callInterceptor(log: Logger): Interceptor {
  return (next) => async (request) => {
    const call = startCall(log, request.method.name, request.signal);
    try {
      const response = await next(request.stream ? withFoldedErrors(request) : request);
      if (response.stream) return { ...response, message: untilEnd(response.message, call) };
      call.succeeded();
      return response;
    } catch (error) {
      throw call.failed(error);
    }
  };
}

interface Call {
  succeeded(): void;
  /** Gives what the caller shall see. */
  failed(error: unknown): ConnectError;
}

function startCall(log: Logger, method: string, signal: AbortSignal): Call {
  const started = performance.now();
  const elapsedMs = () => Math.round(performance.now() - started);
  return {
    succeeded: () => log.debug({ method, code: 'OK', ms: elapsedMs() }, 'call'),
    failed(thrown) {
      const error = endOf(thrown, signal);
      const status = toConnectError(error);
      const reason = error instanceof StorageError ? error.reason : undefined;
      const level = (reason !== 'MESSAGE_TOO_LARGE' && LEVEL_OF_CODE[status.code]) || 'info';
      const cause = level === 'info' ? { problem: status.rawMessage } : { err: error };
      log[level]({ method, code: Code[status.code], reason, ms: elapsedMs(), ...cause }, 'call failed');
      return status;
    },
  };
}

/** What ended a call: once nobody waits for its answer it is that, unless the storage says otherwise. */
function endOf(error: unknown, signal: AbortSignal): unknown {
  const isStorages = error instanceof StorageError && error.reason !== 'CANCELLED';
  if (isStorages || !signal.aborted) return error;
  const { reason } = signal;
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded ? reason : cancelled(error);
}

function withFoldedErrors(request: StreamRequest): StreamRequest {
  return { ...request, message: mapError(request.message, foldReadError) };
}

async function* mapError<T>(source: AsyncIterable<T>, fold: (error: unknown) => unknown): AsyncGenerator<T> {
  try {
    yield* source;
  } catch (error) {
    throw fold(error);
  }
}

async function* untilEnd(messages: StreamResponse['message'], call: Call): StreamResponse['message'] {
  let left = true;
  try {
    yield* messages;
    left = false;
    call.succeeded();
  } catch (error) {
    left = false;
    throw call.failed(error);
  } finally {
    if (left) call.failed(cancelled(undefined));
  }
}
