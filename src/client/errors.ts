/** The one error class of the client, and the conversion of a gRPC status with its details to it. */
import { fromBinary } from '@bufbuild/protobuf';
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt';
import { type ServiceError, status } from '@grpc/grpc-js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { type Status, StatusSchema } from '../../gen/google/rpc/status_pb.ts';
import { explainHttpStatus, httpStatusIn } from './proxy.ts';

export interface ErrorDetails {
  /**
   * The contract's reason in UPPER_SNAKE, or DAEMON_UNREACHABLE or TOKEN_IN_PLAINTEXT of this client; unset for what else
   * the connection reports.
   */
  reason?: string;
  /** The request field at fault, such as `metadata.prompt`. */
  field?: string;
  /** A retry after this many ms may succeed. */
  retryAfterMs?: number;
  /** The write may have happened; a retry with the same idempotency key returns its outcome. */
  outcomeUnknown?: boolean;
  /** The HTTP status that a proxy answered with, in place of a gRPC answer. */
  httpStatus?: number;
  /** The values to send again to learn the outcome of a save. */
  retryWith?: { idempotencyKey: string; timestamp: Date };
  cause?: unknown;
}

/** A failed call. `code` is the gRPC status code, `message` the text of the daemon or the connection. */
export class ImageStorageError extends Error {
  override readonly name = 'ImageStorageError';
  readonly code: number;
  readonly reason: string | undefined;
  readonly field: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly outcomeUnknown: boolean;
  readonly httpStatus: number | undefined;
  readonly retryWith: ErrorDetails['retryWith'];

  constructor(code: number, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.reason = details.reason;
    this.field = details.field;
    this.retryAfterMs = details.retryAfterMs;
    this.outcomeUnknown = details.outcomeUnknown ?? false;
    this.httpStatus = details.httpStatus;
    this.retryWith = details.retryWith;
  }

  /** True when the same call may succeed later, unchanged. */
  get retryable(): boolean {
    return this.code === status.UNAVAILABLE || this.retryAfterMs !== undefined;
  }
}

/** A proxy gives it before it has passed on the whole request. */
const PAYLOAD_TOO_LARGE = 413;

/** Codes that the connection itself reports when no answer came. */
const MAY_BE_UNANSWERED = new Set([
  status.CANCELLED,
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.INTERNAL,
  status.UNAVAILABLE,
]);

/**
 * Converts a status. `sent`: the whole request reached a connection, so that its outcome is unknown without an answer.
 */
export function errorFromStatus(error: ServiceError, sent: boolean): ImageStorageError {
  const told = readStatus(error.metadata?.get('grpc-status-details-bin')[0]);
  const details: ErrorDetails = Object.assign({}, ...(told?.details ?? []).map(readDetail));
  const httpStatus = details.reason === undefined ? httpStatusIn(error.details) : undefined;
  const unanswered = details.reason === undefined && MAY_BE_UNANSWERED.has(error.code);
  const outcomeUnknown = details.outcomeUnknown || (sent && unanswered && httpStatus !== PAYLOAD_TOO_LARGE);
  // grpc-js leaves characters such as commas percent-encoded in its own copy of the message.
  const message = httpStatus === undefined ? told?.message || error.details : explainHttpStatus(httpStatus);
  return new ImageStorageError(error.code, message, { ...details, httpStatus, outcomeUnknown });
}

function readStatus(bytes: unknown): Status | undefined {
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    return fromBinary(StatusSchema, bytes);
  } catch {
    return undefined;
  }
}

function readDetail(detail: Any): ErrorDetails {
  const info = anyUnpack(detail, ErrorInfoSchema);
  if (info) return { reason: info.reason, outcomeUnknown: info.metadata.outcome === 'unknown' };
  const field = anyUnpack(detail, BadRequestSchema)?.fieldViolations[0]?.field;
  if (field) return { field };
  const delay = anyUnpack(detail, RetryInfoSchema)?.retryDelay;
  return delay ? { retryAfterMs: Number(delay.seconds) * 1000 + delay.nanos / 1e6 } : {};
}
