/** Wraps every call that connect serves: its errors become statuses both ways, and its end is logged. */
import type { DescMethod } from '@bufbuild/protobuf';
import type { Interceptor, StreamRequest, StreamResponse } from '@connectrpc/connect';
import type { Logger } from '../storage/domain/logger.ts';
import { type Call, type CallMeter, cancelled, type Messages, startCall } from './call.ts';
import { callerKey, notesKey, refusalKey } from './caller-key.ts';
import { connectStatusOf, foldReadError, toConnectError } from './errors.ts';
import { isRead } from './unread-request.ts';

export interface InterceptorOptions {
  log: Logger;
  logsAccess?: boolean;
  meters: ReadonlyMap<DescMethod, CallMeter | undefined>;
}

export function callInterceptor({ log, logsAccess, meters }: InterceptorOptions): Interceptor {
  return (next) => async (request) => {
    const { method, signal, contextValues, header } = request;
    contextValues.set(isRead, true);
    const origin = { caller: contextValues.get(callerKey), requestId: header.get('x-request-id') };
    const meter = meters.get(method);
    const call = startCall({ log, method: method.name, meter, origin, logsAccess, signal, statusOf: connectStatusOf });
    contextValues.set(notesKey, call.notes);
    const { messages } = call.notes;
    try {
      const refusal = contextValues.get(refusalKey);
      if (refusal !== undefined) throw refusal;
      if (!request.stream) messages.received = 1;
      const response = await next(request.stream ? withFoldedErrors(request, messages) : request);
      if (response.stream) return { ...response, message: untilEnd(response.message, call) };
      messages.sent = 1;
      call.succeeded();
      return response;
    } catch (error) {
      throw toConnectError(call.failed(error));
    }
  };
}

/**
 * Leaves the stream of a Save as it is: its reader folds the errors and counts the messages, so that no iterator is added
 * for each chunk.
 */
function withFoldedErrors(request: StreamRequest, messages: Messages): StreamRequest {
  if (request.method.methodKind === 'client_streaming') return request;
  return { ...request, message: mapError(request.message, foldReadError, messages) };
}

async function* mapError<T>(
  source: AsyncIterable<T>,
  fold: (error: unknown) => unknown,
  messages: Messages,
): AsyncGenerator<T> {
  try {
    for await (const message of source) {
      messages.received += 1;
      yield message;
    }
  } catch (error) {
    throw fold(error);
  }
}

async function* untilEnd(messages: StreamResponse['message'], call: Call): StreamResponse['message'] {
  let left = true;
  try {
    for await (const message of messages) {
      call.notes.messages.sent += 1;
      yield message;
    }
    left = false;
    call.succeeded();
  } catch (error) {
    left = false;
    throw toConnectError(call.failed(error));
  } finally {
    if (left) call.failed(cancelled(undefined));
  }
}
