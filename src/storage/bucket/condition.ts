/** Tracks whether a store in a bucket serves and may be written, and folds its failures for callers. */
import { CatalogError } from '../catalog/catalog.ts';
import { StorageError, toStorageError } from '../domain/errors.ts';
import type { ProviderHealth } from '../domain/requests.ts';
import type { ProviderContext } from '../types.ts';
import { HELP } from './help.ts';
import { isFinal, type ObjectFailure, ObjectStoreError } from './object-store.ts';
import type { LongWait } from './retrying-store.ts';

const RETRY_AFTER_MS = 1_000;
/** Text for callers; only the log names the setting to change. */
const WHY_DOWN: Partial<Record<ObjectFailure, string>> = {
  unavailable: 'the bucket cannot be reached',
  auth: 'the bucket refuses the credentials of the daemon',
  misconfigured: 'the bucket is not what it should be',
};

export class BucketCondition {
  readonly #context: ProviderContext;
  #stopped: StorageError | undefined;
  /** Why the bucket does not serve; undefined when it does. */
  #down: string | undefined;
  /** Why the bucket serves no complete list. */
  #loss: StorageError | undefined;
  /** Why a shared index serves no list. */
  #indexDown: string | undefined;

  constructor(context: ProviderContext) {
    this.#context = context;
  }

  get health(): ProviderHealth {
    if (this.#stopped !== undefined) return { serving: false, why: this.#stopped.message };
    const why = this.#down ?? this.#loss?.message ?? this.#indexDown;
    return why === undefined ? { serving: true } : { serving: false, why };
  }

  /** Returns whether calls to the bucket fail. */
  get isDown(): boolean {
    return this.#stopped !== undefined || this.#down !== undefined;
  }

  /** Notes that most images are missing; without an error, that they are not. */
  noteLoss(error?: StorageError): void {
    if (error?.message === this.#loss?.message) return;
    this.#loss = error;
    const { log, name: provider } = this.#context;
    if (error === undefined) log.warn({ provider }, 'most images have their records again');
    else log.error({ provider }, `${error.message} (${HELP.emptied})`);
  }

  /** Notes that a shared index cannot be used, and why; without an error, that it can. Saves and reads by name go on. */
  noteIndex(error?: Error): void {
    if ((error === undefined) === (this.#indexDown === undefined)) return;
    this.#indexDown = error?.message;
    const { log, name: provider } = this.#context;
    if (error === undefined) log.warn({ provider }, 'the index can be used again');
    else log.warn({ err: error, provider }, 'the index cannot be used: nothing is listed until it can');
  }

  /** Throws STORE_REPLACED while most images are missing: nothing may be deleted by counting them. */
  checkComplete(): void {
    if (this.#loss !== undefined) throw this.#loss;
  }

  /** Notes that the bucket lacks what a store needs. It goes on: its images would be out of sight. */
  noteUnfit(error: Error): void {
    this.#context.log.error(
      { err: error, provider: this.#context.name },
      `the bucket is not fit for a store: ${error.message}`,
    );
  }

  /** Notes how a call to the bucket ended; without an error the bucket served it. */
  noteAnswer(error?: ObjectStoreError): void {
    // A refused request says nothing about other requests; the identity check reads FORMAT every minute.
    if (error?.scope !== 'request') this.noteState(error);
  }

  /** Notes that a call to the bucket takes long. */
  noteLongWait(wait: LongWait): void {
    const { log, name: provider } = this.#context;
    log.warn({ provider, ...wait }, 'the bucket has not answered for a while; the call waits on');
  }

  /** Notes that the bucket does not serve, and why; without an error, that it does. */
  noteState(error?: ObjectStoreError): void {
    const why = error && WHY_DOWN[error.failure];
    if (why === this.#down) return;
    this.#down = why;
    const { log, name: provider } = this.#context;
    if (why === undefined) log.warn({ provider }, 'the bucket can be used again');
    else log.warn({ err: error, provider }, why);
  }

  /** Throws STORE_REPLACED, or STORE_READ_ONLY after a failure that left the catalog in doubt. */
  checkWritable(): void {
    if (this.#stopped !== undefined) throw this.#stopped;
  }

  /** Stops writes and synchronization: the bucket is another store than was opened. Returns the error. */
  replaced(): StorageError {
    return this.#stop(
      new StorageError('STORE_REPLACED', 'the bucket holds another store than before; restart the daemon'),
    );
  }

  /** Stops writes and synchronization: the object that identifies the store is gone. Returns the error. */
  lostFormat(message: string): StorageError {
    const told = 'the bucket no longer says which store it holds; the log of the daemon says how to mend it';
    return this.#stop(new StorageError('STORE_REPLACED', told, { cause: new Error(message) }), message);
  }

  /** Returns the StorageError for the caller; `outcomeUnknown` where the write may have happened. */
  fold(error: unknown, outcomeUnknown = false): StorageError {
    if (error instanceof CatalogError) return this.#foldCatalogError(error, outcomeUnknown);
    if (error instanceof ObjectStoreError) return foldObjectStoreError(error, outcomeUnknown);
    const folded = toStorageError(error);
    if (folded.outcomeUnknown === outcomeUnknown || folded.outcomeUnknown) return folded;
    const { reason, message, retryAfterMs, details } = folded;
    return new StorageError(reason, message, { cause: error, retryAfterMs, outcomeUnknown, details });
  }

  #foldCatalogError(error: CatalogError, outcomeUnknown: boolean): StorageError {
    if (error.failure === 'full') {
      return new StorageError('DISK_FULL', 'the disk of the state folder is full', { cause: error, outcomeUnknown });
    }
    if (error.failure !== 'definite') {
      this.#stop(new StorageError('STORE_READ_ONLY', 'the catalog failed; restart the daemon', { cause: error }));
      if (error.failure === 'corrupt') this.#context.onFatal(error);
    }
    return new StorageError('STORAGE_IO', 'the catalog of the store failed', { cause: error, outcomeUnknown });
  }

  #stop(reason: StorageError, message = reason.message): StorageError {
    this.#context.log.error({ err: reason.cause, provider: this.#context.name }, message);
    this.#stopped ??= reason;
    return this.#stopped;
  }
}

function foldObjectStoreError(cause: ObjectStoreError, outcomeUnknown: boolean): StorageError {
  const options = { cause, outcomeUnknown, details: detailsOf(cause) };
  if (cause.failure === 'auth') {
    return new StorageError('BACKEND_AUTH', 'the bucket refused what the daemon asked for', options);
  }
  const message = WHY_DOWN[cause.failure] ?? WHY_DOWN.unavailable;
  if (!mayPass(cause)) {
    return new StorageError('BACKEND_UNAVAILABLE', `${message}; the log of the daemon says why`, options);
  }
  return new StorageError('BACKEND_UNAVAILABLE', `${message}; try again later`, {
    ...options,
    retryAfterMs: RETRY_AFTER_MS,
  });
}

/** Returns whether the same request may succeed later. */
function mayPass({ failure, answer }: ObjectStoreError): boolean {
  return failure !== 'misconfigured' && !(answer !== undefined && isFinal(answer.status));
}

/** Returns what the service said, for programs. */
export function detailsOf({ answer }: ObjectStoreError): Record<string, string> {
  if (answer === undefined) return {};
  return { backend_status: `${answer.status}`, ...(answer.code !== undefined && { backend_code: answer.code }) };
}
