/**
 * Answers a unary call whose request cannot be read as the interceptor answers a stream: connect reads the request of a
 * unary call before any interceptor, and answers without a reason.
 */
import type { DescMethod } from '@bufbuild/protobuf';
import { createContextKey } from '@connectrpc/connect';
import { findTrailerError, setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import type { StorageError } from '../storage/domain/errors.ts';
import type { Logger } from '../storage/domain/logger.ts';
import { type CallMeter, startCall } from './call.ts';
import { connectStatusOf, foldReadError, toConnectError } from './errors.ts';

/** Whether the request was read, and given to the interceptor. */
export const isRead = createContextKey(false, { description: 'whether the request was read' });

const NEVER = new AbortController().signal;

/**
 * Starts a call. Returns a function that ends it with the reason, for an answer to a request that was not read; an
 * answer that has its reason, or no trailers (which only gRPC has), stays as it is. A request that was refused unread has
 * its reason in every protocol.
 */
export function unreadExplainer(
  method: DescMethod,
  log: Logger,
  meter?: CallMeter,
): (trailer: Headers | undefined, refusal: StorageError | undefined) => void {
  const call = startCall({
    log,
    method: method.name,
    meter: meter && endsOnly(meter),
    signal: NEVER,
    statusOf: connectStatusOf,
  });
  return (trailer, refusal) => {
    if (refusal !== undefined) {
      call.failed(refusal);
      return;
    }
    const error = trailer && findTrailerError(trailer);
    if (error === undefined) return;
    if (error.details.length > 0) call.failed(error);
    else setTrailerStatus(trailer!, toConnectError(call.failed(foldReadError(error))));
  };
}

/** A call that is read is counted by the interceptor; this one only where it was not. */
function endsOnly(meter: CallMeter): CallMeter {
  return {
    started() {},
    ended(call) {
      meter.started();
      meter.ended(call);
    },
  };
}
