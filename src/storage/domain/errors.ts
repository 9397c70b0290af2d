/** The one error class of the storage library, with its closed list of reasons. */

/** Every reason a caller may meet, and the class of failure it belongs to. */
const CODE_OF_REASON = {
  FIRST_MESSAGE_NOT_HEADER: 'invalid_argument',
  MESSAGE_OUT_OF_ORDER: 'invalid_argument',
  FIELD_INVALID: 'invalid_argument',
  IMAGE_TOO_LARGE: 'invalid_argument',
  IMAGE_EMPTY: 'invalid_argument',
  IMAGE_TRUNCATED: 'invalid_argument',
  TYPE_NOT_ALLOWED: 'invalid_argument',
  TYPE_MISMATCH: 'invalid_argument',
  SIZE_MISMATCH: 'invalid_argument',
  CHECKSUM_MISMATCH: 'invalid_argument',
  PAGE_TOKEN_INVALID: 'invalid_argument',
  CLEANUP_WITHOUT_CRITERION: 'invalid_argument',
  IMAGE_NOT_FOUND: 'not_found',
  PROVIDER_NOT_FOUND: 'not_found',
  IDEMPOTENCY_KEY_REUSED: 'already_exists',
  OFFSET_OUT_OF_RANGE: 'out_of_range',
  DISK_FULL: 'resource_exhausted',
  TOO_MANY_SAVES: 'resource_exhausted',
  MESSAGE_TOO_LARGE: 'resource_exhausted',
  SAVE_STALLED: 'deadline_exceeded',
  CANCELLED: 'cancelled',
  STORE_READ_ONLY: 'failed_precondition',
  STORE_REPLACED: 'failed_precondition',
  BACKEND_AUTH: 'failed_precondition',
  CATALOG_REBUILDING: 'unavailable',
  BACKEND_UNAVAILABLE: 'unavailable',
  BYTES_CORRUPT: 'data_loss',
  BYTES_MISSING: 'data_loss',
  STORAGE_IO: 'internal',
} as const;

export type Reason = keyof typeof CODE_OF_REASON;
export type Code = (typeof CODE_OF_REASON)[Reason];

export interface StorageErrorOptions {
  /** What went wrong underneath; for the log only, never shown to a caller. */
  cause?: unknown;
  /** The request field at fault, in the contract's snake_case (`metadata.prompt`). */
  field?: string;
  /** Trying again after this many milliseconds may succeed. */
  retryAfterMs?: number;
  /** The write may have happened all the same; a retry with the same idempotency key tells. */
  outcomeUnknown?: boolean;
}

/** A failure a caller can act on. `message` is safe to show: no path, stack or secret. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: Code;
  readonly reason: Reason;
  readonly field: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly outcomeUnknown: boolean;

  constructor(reason: Reason, message: string, options: StorageErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = CODE_OF_REASON[reason];
    this.reason = reason;
    this.field = options.field;
    this.retryAfterMs = options.retryAfterMs;
    this.outcomeUnknown = options.outcomeUnknown ?? false;
  }
}

/** A store that cannot be opened. `kind` decides the exit code of the daemon; `message` says what to change. */
export class StoreOpenError extends Error {
  override readonly name = 'StoreOpenError';
  /** `locked`: another process has it (75) · `config`: set up wrongly or too new (78) · `permission` (77) · `io` (74). */
  readonly kind: 'locked' | 'config' | 'permission' | 'io';
  /** The backend refuses the credentials. */
  readonly isAuth: boolean;

  constructor(kind: StoreOpenError['kind'], message: string, options: { cause?: unknown; isAuth?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.isAuth = options.isAuth ?? false;
  }
}

/** The error of a request field, in the contract's snake_case. */
export function invalidField(field: string, problem: string): StorageError {
  return new StorageError('FIELD_INVALID', `${field}: ${problem}`, { field });
}

/** CANCELLED when the signal has fired. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new StorageError('CANCELLED', 'the call was cancelled');
}

/** The failure of a provider, by its name. */
export function namedError(provider: string, cause: unknown): StorageError {
  const { reason, message, retryAfterMs, outcomeUnknown } = toStorageError(cause);
  return new StorageError(reason, `${provider}: ${message}`, { cause, retryAfterMs, outcomeUnknown });
}

/** The failure of a call that had done some of its work. */
export function partlyDone(cause: unknown): StorageError {
  const { reason, message, retryAfterMs } = toStorageError(cause);
  return new StorageError(reason, message, { cause, retryAfterMs, outcomeUnknown: true });
}

/** Waits for the work; rejects with its failure as a StorageError. */
export async function folded<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw toStorageError(error);
  }
}

/** Folds whatever was thrown into a StorageError; what is not one becomes STORAGE_IO with generic text. */
export function toStorageError(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StorageError('DISK_FULL', 'the disk of the store is full', { cause: error });
  }
  if (code === 'EROFS') return new StorageError('STORE_READ_ONLY', 'the store is read-only', { cause: error });
  return new StorageError('STORAGE_IO', 'the storage failed; see the log of the daemon', { cause: error });
}
