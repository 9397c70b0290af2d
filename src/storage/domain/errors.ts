/** The one error class of the storage library, with its closed list of reasons. */

/** Every reason that a caller may receive, with its code. */
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
  POLICY_NOT_FOUND: 'not_found',
  IDEMPOTENCY_KEY_REUSED: 'already_exists',
  OFFSET_OUT_OF_RANGE: 'out_of_range',
  DISK_FULL: 'resource_exhausted',
  TOO_MANY_SAVES: 'resource_exhausted',
  TOO_MANY_OPEN_FILES: 'resource_exhausted',
  MESSAGE_TOO_LARGE: 'resource_exhausted',
  SAVE_STALLED: 'deadline_exceeded',
  CANCELLED: 'cancelled',
  STORE_READ_ONLY: 'failed_precondition',
  STORE_REPLACED: 'failed_precondition',
  BACKEND_AUTH: 'failed_precondition',
  BYTES_REMAIN: 'failed_precondition',
  DELETED_BEFORE: 'failed_precondition',
  PLAN_EXPIRED: 'failed_precondition',
  NOT_DELETED: 'failed_precondition',
  CATALOG_REBUILDING: 'unavailable',
  INDEX_UNAVAILABLE: 'unavailable',
  BACKEND_UNAVAILABLE: 'unavailable',
  BYTES_CORRUPT: 'data_loss',
  BYTES_MISSING: 'data_loss',
  STORAGE_IO: 'internal',
  TOKEN_MISSING: 'unauthenticated',
  TOKEN_UNKNOWN: 'unauthenticated',
  TOKEN_EXPIRED: 'unauthenticated',
  SCOPE_MISSING: 'permission_denied',
} as const;

export type Reason = keyof typeof CODE_OF_REASON;
export type Code = (typeof CODE_OF_REASON)[Reason];

export interface StorageErrorOptions {
  /** The underlying error, for the log only; never sent to a caller. */
  cause?: unknown;
  /** The request field at fault, in the contract's snake_case (`metadata.prompt`). */
  field?: string;
  /** A retry after this many milliseconds may succeed. */
  retryAfterMs?: number;
  /** The write may have been applied; a retry with the same idempotency key resolves the doubt. */
  outcomeUnknown?: boolean;
  /** Facts for programs, such as `backend_code`; names in snake_case, values short and fit to show. */
  details?: Readonly<Record<string, string>>;
}

/** A failure that a caller can act on. `message` is safe to show: it has no path, stack or secret. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: Code;
  readonly reason: Reason;
  readonly field: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly outcomeUnknown: boolean;
  readonly details: Readonly<Record<string, string>>;

  constructor(reason: Reason, message: string, options: StorageErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = CODE_OF_REASON[reason];
    this.reason = reason;
    this.field = options.field;
    this.retryAfterMs = options.retryAfterMs;
    this.outcomeUnknown = options.outcomeUnknown ?? false;
    this.details = options.details ?? {};
  }
}

interface StoreOpenErrorOptions extends Pick<StorageErrorOptions, 'cause' | 'details'> {
  isAuth?: boolean;
}

/** Thrown when a store cannot be opened. `kind` decides the exit code of the daemon; `message` says what to change. */
export class StoreOpenError extends Error {
  override readonly name = 'StoreOpenError';
  /**
   * `locked`: another process holds it (75) · `config`: misconfigured or too new (78) · `permission` (77) · `io` (74) ·
   * `unavailable`: its service does not answer or is too busy, and the same may succeed later (69).
   */
  readonly kind: 'locked' | 'config' | 'permission' | 'io' | 'unavailable';
  /** True when the backend rejects the credentials. */
  readonly isAuth: boolean;
  /** As those of a StorageError. */
  readonly details: Readonly<Record<string, string>>;

  constructor(kind: StoreOpenError['kind'], message: string, options: StoreOpenErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.isAuth = options.isAuth ?? false;
    this.details = options.details ?? {};
  }
}

/** Returns FIELD_INVALID for a request field, which is named in the contract's snake_case. */
export function invalidField(field: string, problem: string): StorageError {
  return new StorageError('FIELD_INVALID', `${field}: ${problem}`, { field });
}

/** Throws CANCELLED when the signal has fired. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new StorageError('CANCELLED', 'the call was cancelled');
}

/** Returns the failure of a provider, with the provider's name in the message. */
export function namedError(provider: string, cause: unknown): StorageError {
  const { reason, message, retryAfterMs, outcomeUnknown, details } = toStorageError(cause);
  return new StorageError(reason, `${provider}: ${message}`, { cause, retryAfterMs, outcomeUnknown, details });
}

/** Returns the failure of a call that had done part of its work, with `outcomeUnknown`. */
export function partlyDone(cause: unknown): StorageError {
  const { reason, message, retryAfterMs, details } = toStorageError(cause);
  return new StorageError(reason, message, { cause, retryAfterMs, outcomeUnknown: true, details });
}

/** Waits for the work; rejects with its failure as a StorageError. */
export async function folded<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw toStorageError(error);
  }
}

/** When descriptors are likely to be free again: calls and connections end all the time. */
const OPEN_FILES_RETRY_MS = 1_000;

/** Converts any thrown value to a StorageError; an unknown error becomes STORAGE_IO with generic text. */
export function toStorageError(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StorageError('DISK_FULL', 'the disk of the store is full', { cause: error });
  }
  if (code === 'EMFILE' || code === 'ENFILE') {
    const message = 'the daemon has too many files open; try again';
    return new StorageError('TOO_MANY_OPEN_FILES', message, { cause: error, retryAfterMs: OPEN_FILES_RETRY_MS });
  }
  if (code === 'EROFS') return new StorageError('STORE_READ_ONLY', 'the store is read-only', { cause: error });
  return new StorageError('STORAGE_IO', 'the storage failed; see the log of the daemon', { cause: error });
}
