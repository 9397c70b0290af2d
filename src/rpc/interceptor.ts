/** Wraps every call: folds errors on both ways, and logs one line per call without anything of its content. */
import {
  Code,
  type ConnectError,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
} from '@connectrpc/connect';
import { StorageError } from '../storage/errors.ts';
import type { Logger } from '../storage/types.ts';
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
    const end = startCall(log, request.method.name);
    try {
      const response = await next(request.stream ? withFoldedErrors(request) : request);
      if (response.stream) return { ...response, message: untilEnd(response.message, end) };
      end();
      return response;
    } catch (error) {
      throw end(error);
    }
  };
}

/** `end` logs, and gives what the caller shall see. */
function startCall(log: Logger, method: string): (error?: unknown) => ConnectError | undefined {
  const started = performance.now();
  return (error) => {
    const ms = Math.round(performance.now() - started);
    if (error === undefined) {
      log.debug({ method, code: 'OK', ms }, 'call');
      return undefined;
    }
    const status = toConnectError(error);
    const reason = error instanceof StorageError ? error.reason : undefined;
    const level = (reason !== 'MESSAGE_TOO_LARGE' && LEVEL_OF_CODE[status.code]) || 'info';
    const cause = level === 'info' ? { problem: status.rawMessage } : { err: error };
    log[level]({ method, code: Code[status.code], reason, ms, ...cause }, 'call failed');
    return status;
  };
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

async function* untilEnd(
  messages: StreamResponse['message'],
  end: ReturnType<typeof startCall>,
): StreamResponse['message'] {
  let left = true;
  try {
    yield* messages;
    left = false;
    end();
  } catch (error) {
    left = false;
    throw end(error);
  } finally {
    if (left) end(cancelled(undefined));
  }
}
