/** Copies images unchanged from one store to another; a second run continues where the first one ended. */

import { KeyedQueue } from '../async/keyed-queue.ts';
import { mapInParallel } from '../async/parallel.ts';
import { invalidField, namedError, type Reason, StorageError, throwIfCancelled } from '../domain/errors.ts';
import { isSameSave } from '../domain/fingerprint.ts';
import type {
  CopyEvent,
  CopyFailure,
  CopyOptions,
  CopySummary,
  MaintenanceProgress,
  StoredState,
} from '../domain/maintenance.ts';
import { derivedShortId, imageKey, withShortId } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { ImageFilter } from '../domain/requests.ts';
import type { Maintainable } from '../types.ts';

const DEFAULT_CONCURRENCY = 4;
const MAX_CONCURRENCY = 64;
/** How many other names are tried for an image that the target has deleted. */
const MAX_NAMES = 16;
/** Serializes source deletes by filename: two opposite moves must not each delete the copy that the other relies on. */
const sourceDeletes = new KeyedQueue();

type CopyOutcome =
  | { outcome: 'copied' | 'present'; deleted: boolean }
  | { outcome: 'failed'; failure: CopyFailure }
  /** Deleted from the source meanwhile. */
  | { outcome: 'gone' };

/** Throws FIELD_INVALID where the target is the source, the same store with `deleteSource`, or `concurrency` is bad. */
export function checkCopy(source: Maintainable, target: Maintainable, options: CopyOptions): void {
  if (source === target) throw invalidField('to', 'is the provider that is copied from');
  const { concurrency = DEFAULT_CONCURRENCY } = options;
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > MAX_CONCURRENCY) {
    throw invalidField('concurrency', `1 to ${MAX_CONCURRENCY} are accepted`);
  }
  if (options.deleteSource && source.storeId === target.storeId) {
    throw invalidField('delete_source', 'both providers show the same store, or copies of one: nothing is deleted');
  }
}

/** Ends with an error that names the store when a store fails. */
export async function* copyImages(
  source: Maintainable,
  target: Maintainable,
  options: CopyOptions,
): AsyncGenerator<CopyEvent> {
  checkCopy(source, target, options);
  const { dryRun = false, concurrency = DEFAULT_CONCURRENCY } = options;
  const filter: ImageFilter = { model: options.model, category: options.category, dateRange: { end: options.before } };
  const { images, bytes } = await source.measure(filter).catch((cause) => {
    throw failureOf(source, cause);
  });
  const progress = { images: 0, totalImages: images, bytes: 0, totalBytes: bytes };
  yield { kind: 'progress', progress: { ...progress } };
  const summary: CopySummary = { copied: 0, copiedBytes: 0, present: 0, failed: 0, deleted: 0, dryRun };
  const untold: CopyFailure[] = [];
  const copyOne = async (record: ImageRecord) => {
    const result = await new ImageCopy(source, target, record, options, progress).run();
    count(summary, record, result);
    if (result.outcome === 'failed') untold.push(result.failure);
  };
  try {
    for await (const _ of mapInParallel(concurrency, recordsOf(source, filter), copyOne)) {
      yield* failuresIn(untold);
      yield { kind: 'progress', progress: { ...progress } };
    }
  } catch (error) {
    // By now the images that were in progress are counted, too.
    yield* failuresIn(untold);
    yield { kind: 'stopped', summary };
    throw error;
  }
  yield { kind: 'summary', summary };
}

/** Yields each failure once and removes it. */
function* failuresIn(untold: CopyFailure[]): Generator<CopyEvent> {
  for (let failure = untold.shift(); failure !== undefined; failure = untold.shift()) yield { kind: 'failed', failure };
}

async function* recordsOf(source: Maintainable, filter: ImageFilter): AsyncGenerator<ImageRecord> {
  try {
    yield* source.records(filter);
  } catch (cause) {
    throw failureOf(source, cause);
  }
}

/** Returns the error of a failed store, with the store's name; a cancellation unchanged. */
function failureOf({ name }: Maintainable, cause: unknown): unknown {
  return hasReason(cause, 'CANCELLED') ? cause : namedError(name, cause);
}

function count(summary: CopySummary, { size }: ImageRecord, result: CopyOutcome): void {
  if (result.outcome === 'failed') summary.failed += 1;
  else if (result.outcome !== 'gone') {
    summary[result.outcome] += 1;
    if (result.outcome === 'copied') summary.copiedBytes += size;
    if (result.deleted) summary.deleted += 1;
  }
}

/** Copies one image. */
class ImageCopy {
  readonly #source: Maintainable;
  readonly #target: Maintainable;
  readonly #record: ImageRecord;
  /** The record for the target: the same, unless the image is brought back under another name. */
  #copied: ImageRecord;
  readonly #options: CopyOptions;
  readonly #progress: MaintenanceProgress;
  #bytes = 0;
  /** The store to name in an error that ends the copy. */
  #failing: Maintainable;

  constructor(
    source: Maintainable,
    target: Maintainable,
    record: ImageRecord,
    options: CopyOptions,
    progress: MaintenanceProgress,
  ) {
    this.#source = source;
    this.#target = target;
    this.#record = record;
    this.#copied = record;
    this.#options = options;
    this.#progress = progress;
    this.#failing = target;
  }

  async run(): Promise<CopyOutcome> {
    throwIfCancelled(this.#options.signal);
    try {
      return await this.#copy();
    } catch (error) {
      if (hasReason(error, 'IMAGE_NOT_FOUND')) return { outcome: 'gone' };
      if (!isOfOneImage(error)) throw failureOf(this.#failing, error);
      return this.#failed(error.reason, error.message);
    } finally {
      this.#progress.images += 1;
      // An image that was present, or failed half-way, counts as done.
      this.#progress.bytes += this.#record.size - this.#bytes;
    }
  }

  async #copy(): Promise<CopyOutcome> {
    const { dryRun, deleteSource = false, signal } = this.#options;
    const stored = await this.#stateInTarget();
    if (stored.state === 'deleted' || (stored.state === 'trashed' && !this.#options.bringBack)) {
      return this.#failed('DELETED_BEFORE', 'the target has deleted it, and takes it back only when told to');
    }
    if ('record' in stored && !isSameSave(stored.record, this.#record)) return this.#taken();
    const outcome = stored.state === 'live' ? 'present' : 'copied';
    if (dryRun) return { outcome, deleted: false };
    if (stored.state === 'trashed') await this.#target.restore(this.#record.filename);
    else if (outcome === 'copied' && !(await this.#target.copyIn(this.#copied, this.#counted(), signal))) {
      return this.#taken();
    }
    if (!deleteSource) return { outcome, deleted: false };
    return sourceDeletes.run(this.#record.filename, () => this.#deleteFromSource(outcome));
  }

  /** Returns what the target has under the filename; with `bringBack`, under the first name that it has not deleted. */
  async #stateInTarget(): Promise<StoredState> {
    const { filename } = this.#record;
    for (let count = 1; ; count += 1) {
      const stored = await this.#target.storedState(this.#copied.filename);
      if (stored.state !== 'deleted' || !this.#options.bringBack || count > MAX_NAMES) return stored;
      const another = withShortId(filename, derivedShortId(`${count} ${filename}`));
      this.#copied = { ...this.#record, filename: another, key: imageKey(another) };
    }
  }

  async #deleteFromSource(outcome: 'copied' | 'present'): Promise<CopyOutcome> {
    const flaw = await this.#flawInTarget();
    if (flaw !== undefined) return flaw;
    this.#failing = this.#source;
    const { permanent } = this.#options;
    return { outcome, deleted: await this.#source.delete(this.#record.filename, { permanent }) };
  }

  async *#counted(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#source.bytesOf(this.#record)) {
        this.#bytes += chunk.length;
        this.#progress.bytes += chunk.length;
        yield chunk;
      }
    } catch (error) {
      this.#failing = this.#source;
      throw error;
    }
  }

  /** Reads the whole image back from the target. Returns the failure, or undefined. */
  async #flawInTarget(): Promise<CopyOutcome | undefined> {
    const deleted = () => this.#failed('DELETED_BEFORE', 'the target has deleted it meanwhile');
    try {
      // The bytes alone prove nothing: they outlive a delete for a moment.
      if ((await this.#target.storedState(this.#copied.filename)).state !== 'live') return deleted();
      for await (const _ of this.#target.bytesOf(this.#copied)) throwIfCancelled(this.#options.signal);
      return undefined;
    } catch (error) {
      if (isOfOneImage(error)) return this.#failed(error.reason, `in the target: ${error.message}`);
      if (!hasReason(error, 'IMAGE_NOT_FOUND')) throw error;
      return deleted();
    }
  }

  #taken(): CopyOutcome {
    return this.#failed('FILENAME_TAKEN', 'the target has another image of that name');
  }

  #failed(reason: CopyFailure['reason'], message: string): CopyOutcome {
    return { outcome: 'failed', failure: { filename: this.#record.filename, reason, message } };
  }
}

/** Returns whether the error concerns one image only; any other ends the copy. */
function isOfOneImage(error: unknown): error is { reason: CopyFailure['reason']; message: string } {
  return hasReason(error, 'BYTES_MISSING', 'BYTES_CORRUPT', 'IMAGE_TOO_LARGE');
}

function hasReason(error: unknown, ...reasons: Reason[]): boolean {
  return error instanceof StorageError && reasons.includes(error.reason);
}
