/** The gRPC status of an error of the storage: code, message and google.rpc details, whatever protocol carries it. */
import { create, type DescMessage, type Message } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { type Code as StorageCode, type StorageError, toStorageError } from '../storage/domain/errors.ts';

const DOMAIN = 'imagestorage.dev';
const MAX_FACTS = 8;
const MAX_FACT_CHARS = 128;

/** The codes of a failed call, under the names that the log uses: https://grpc.io/docs/guides/status-codes */
export const STATUS_CODES = {
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;

export type StatusCode = keyof typeof STATUS_CODES;

const STATUS_OF_CODE: Record<StorageCode, StatusCode> = {
  invalid_argument: 'InvalidArgument',
  not_found: 'NotFound',
  already_exists: 'AlreadyExists',
  out_of_range: 'OutOfRange',
  resource_exhausted: 'ResourceExhausted',
  deadline_exceeded: 'DeadlineExceeded',
  cancelled: 'Canceled',
  failed_precondition: 'FailedPrecondition',
  unavailable: 'Unavailable',
  data_loss: 'DataLoss',
  internal: 'Internal',
  unauthenticated: 'Unauthenticated',
  permission_denied: 'PermissionDenied',
};

/** A google.rpc message with its type. */
export interface StatusDetail {
  desc: DescMessage;
  value: Message;
}

/** What the caller of a failed call gets, and what only the log may say. */
export interface Status {
  code: StatusCode;
  message: string;
  details: StatusDetail[];
  /** The error that ended the call; for the log only. */
  cause: unknown;
}

/** Returns the status of whatever was thrown; what is not an error of the storage becomes Internal with generic text. */
export function statusOf(thrown: unknown): Status {
  const error = toStorageError(thrown);
  return { code: STATUS_OF_CODE[error.code], message: error.message, details: detailsOf(error), cause: thrown };
}

function detailsOf(error: StorageError): StatusDetail[] {
  const { reason, message: description, field, retryAfterMs } = error;
  const metadata = { ...bounded(error.details), ...(error.outcomeUnknown && { outcome: 'unknown' }) };
  const details: StatusDetail[] = [
    { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason, domain: DOMAIN, metadata }) },
  ];
  if (field !== undefined) {
    const fieldViolations = [{ field, description, reason }];
    details.push({ desc: BadRequestSchema, value: create(BadRequestSchema, { fieldViolations }) });
  }
  if (retryAfterMs !== undefined) {
    const retryDelay = durationFromMs(retryAfterMs);
    details.push({ desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay }) });
  }
  return details;
}

/** A status travels in a trailer, which some clients limit to 8 KiB. */
function bounded(details: Readonly<Record<string, string>>): Record<string, string> {
  const facts = Object.entries(details).slice(0, MAX_FACTS);
  return Object.fromEntries(facts.map(([name, value]) => [name, value.slice(0, MAX_FACT_CHARS)]));
}
