/** Converts statuses to connect's errors and back, and errors of reading a request to errors of the storage. */
import { Code, ConnectError } from '@connectrpc/connect';
import { StorageError } from '../storage/domain/errors.ts';
import { cancelled } from './call.ts';
import { STATUS_CODES, type Status, type StatusCode, statusOf } from './status.ts';

/** Returns the status of any error; one that connect chose stays. */
export function connectStatusOf(error: unknown): Status {
  if (!(error instanceof ConnectError)) return statusOf(error);
  return { code: Code[error.code] as StatusCode, message: error.rawMessage, details: [], cause: error };
}

/** Returns what connect answers with; an error of its own goes back as it came. */
export function toConnectError({ code, message, details, cause }: Status): ConnectError {
  if (cause instanceof ConnectError) return cause;
  return new ConnectError(message, STATUS_CODES[code], undefined, details, cause);
}

/** Returns the error of a request stream that cannot be read on: too large, malformed, or its client has left. */
export function foldReadError(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return cancelled(error);
  if (error.cause instanceof StorageError) return error.cause;
  switch (error.code) {
    case Code.ResourceExhausted:
      return new StorageError('MESSAGE_TOO_LARGE', 'a message is larger than the daemon accepts', { cause: error });
    case Code.Internal:
    case Code.InvalidArgument:
      return undecodable(error);
    case Code.Aborted:
    case Code.Canceled:
      return cancelled(error);
    default:
      return error;
  }
}

export function undecodable(cause: unknown): StorageError {
  return new StorageError(
    'FIELD_INVALID',
    'a message cannot be decoded: it is damaged, or has text that is not UTF-8',
    { cause },
  );
}
