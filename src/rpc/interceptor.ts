/** Wraps every call that connect serves: its errors become statuses both ways, and its end is logged. */
import type { Interceptor, StreamRequest, StreamResponse } from '@connectrpc/connect';
import type { Logger } from '../storage/domain/logger.ts';
import { type Call, cancelled, startCall } from './call.ts';
import { refusalKey } from './caller-key.ts';
import { connectStatusOf, foldReadError, toConnectError } from './errors.ts';
import { isRead } from './unread-request.ts';

export function callInterceptor(log: Logger): Interceptor {
  return (next) => async (request) => {
    const { method, signal } = request;
    request.contextValues.set(isRead, true);
    const call = startCall({ log, method: method.name, signal, statusOf: connectStatusOf });
    try {
      const refusal = request.contextValues.get(refusalKey);
      if (refusal !== undefined) throw refusal;
      const response = await next(request.stream ? withFoldedErrors(request) : request);
      if (response.stream) return { ...response, message: untilEnd(response.message, call) };
      call.succeeded();
      return response;
    } catch (error) {
      throw toConnectError(call.failed(error));
    }
  };
}

/** Leaves the stream of a Save as it is: its reader folds the errors, so that no iterator is added for each chunk. */
function withFoldedErrors(request: StreamRequest): StreamRequest {
  if (request.method.methodKind === 'client_streaming') return request;
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
    throw toConnectError(call.failed(error));
  } finally {
    if (left) call.failed(cancelled(undefined));
  }
}
