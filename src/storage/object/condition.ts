/** Whether the store in a bucket serves and may be written, and what its failures mean to callers. */
import { CatalogError } from '../catalog/types.ts';
import { StorageError, toStorageError } from '../errors.ts';
import type { ProviderContext, ProviderHealth } from '../types.ts';
import { ObjectStoreError } from './object-store.ts';

const RETRY_AFTER_MS = 1_000;

export class BucketCondition {
  readonly #context: ProviderContext;
  #stopped: StorageError | undefined;
  #reachable = true;

  constructor(context: ProviderContext) {
    this.#context = context;
  }

  get health(): ProviderHealth {
    if (this.#stopped !== undefined) return { serving: false, why: this.#stopped.message };
    return this.#reachable ? { serving: true } : { serving: false, why: 'the bucket cannot be reached' };
  }

  get reachable(): boolean {
    return this.#reachable;
  }

  /** Whether the last call to the bucket was answered. */
  noteAnswer(reachable: boolean): void {
    if (reachable === this.#reachable) return;
    this.#reachable = reachable;
    const message = reachable ? 'the bucket can be reached again' : 'the bucket cannot be reached';
    this.#context.log.warn({ provider: this.#context.name }, message);
  }

  /** STORE_REPLACED, or STORE_READ_ONLY after a failure that left the catalog in doubt. */
  checkWritable(): void {
    if (this.#stopped !== undefined) throw this.#stopped;
  }

  /** The bucket is no longer the store that was opened: nothing more is written to it, nor does the catalog follow it. */
  replaced(): StorageError {
    return this.#stop(
      new StorageError('STORE_REPLACED', 'the bucket holds another store than before; restart the daemon'),
    );
  }

  /** What a failure means to a caller; `outcomeUnknown` where the write may have happened. */
  fold(error: unknown, outcomeUnknown = false): StorageError {
    if (error instanceof CatalogError) return this.#foldCatalogError(error, outcomeUnknown);
    if (error instanceof ObjectStoreError) return foldObjectStoreError(error, outcomeUnknown);
    const folded = toStorageError(error);
    if (folded.outcomeUnknown === outcomeUnknown || folded.outcomeUnknown) return folded;
    return new StorageError(folded.reason, folded.message, { cause: error, outcomeUnknown });
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

  #stop(reason: StorageError): StorageError {
    this.#context.log.error({ err: reason.cause, provider: this.#context.name }, reason.message);
    this.#stopped ??= reason;
    return this.#stopped;
  }
}

function foldObjectStoreError(cause: ObjectStoreError, outcomeUnknown: boolean): StorageError {
  if (cause.failure === 'auth') {
    return new StorageError('BACKEND_AUTH', 'the bucket refused what the daemon asked for', { cause, outcomeUnknown });
  }
  const message =
    cause.failure === 'misconfigured' ? 'the bucket is not what it should be' : 'the bucket cannot be reached';
  return new StorageError('BACKEND_UNAVAILABLE', `${message}; try again later`, {
    cause,
    outcomeUnknown,
    retryAfterMs: RETRY_AFTER_MS,
  });
}
