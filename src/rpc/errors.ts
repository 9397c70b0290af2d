/** Errors of the storage as gRPC statuses with google.rpc details, and errors of reading a request as errors of ours. */
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { type Code as StorageCode, StorageError, toStorageError } from '../storage/domain/errors.ts';

type OutgoingDetail = NonNullable<ConstructorParameters<typeof ConnectError>[3]>[number];

const DOMAIN = 'imagestorage.dev';

const STATUS_OF_CODE: Record<StorageCode, Code> = {
  invalid_argument: Code.InvalidArgument,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  out_of_range: Code.OutOfRange,
  resource_exhausted: Code.ResourceExhausted,
  deadline_exceeded: Code.DeadlineExceeded,
  cancelled: Code.Canceled,
  failed_precondition: Code.FailedPrecondition,
  unavailable: Code.Unavailable,
  data_loss: Code.DataLoss,
  internal: Code.Internal,
};

/** What a caller gets to see; a status that was already chosen stays. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const folded = toStorageError(error);
  return new ConnectError(folded.message, STATUS_OF_CODE[folded.code], undefined, detailsOf(folded), error);
}

function detailsOf(error: StorageError): OutgoingDetail[] {
  const metadata: Record<string, string> = error.outcomeUnknown ? { outcome: 'unknown' } : {};
  const details: OutgoingDetail[] = [
    { desc: ErrorInfoSchema, value: { reason: error.reason, domain: DOMAIN, metadata } },
  ];
  if (error.field !== undefined) {
    const fieldViolations = [{ field: error.field, description: error.message, reason: error.reason }];
    details.push({ desc: BadRequestSchema, value: { fieldViolations } });
  }
  if (error.retryAfterMs !== undefined) {
    details.push({ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(error.retryAfterMs) } });
  }
  return details;
}

/** Why a request stream could not be read on: too big, not what the contract says, or its client is gone. */
export function foldReadError(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return cancelled(error);
  switch (error.code) {
    case Code.ResourceExhausted:
      return new StorageError('MESSAGE_TOO_LARGE', 'a message is larger than the daemon accepts', { cause: error });
    case Code.Internal:
    case Code.InvalidArgument:
      return new StorageError(
        'FIELD_INVALID',
        'a message cannot be decoded: it is damaged, or has text that is not UTF-8',
        { cause: error },
      );
    case Code.Aborted:
    case Code.Canceled:
      return cancelled(error);
    default:
      return error;
  }
}

export function cancelled(cause: unknown): StorageError {
  return new StorageError('CANCELLED', 'the call was cancelled', { cause });
}
