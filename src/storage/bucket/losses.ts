/** Counts the images whose records a comparison no longer finds, and says what became of them. */
import type { FoundChange, FoundRecord } from '../catalog/bucket-catalog.ts';
import { mostAreMissing } from '../maintenance/verify.ts';
import { HELP } from './help.ts';
import { type BucketStore, discovery } from './store.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Five days before the tombstones of other daemons expire. */
const RECENT_MS = 25 * DAY_MS;
const NAMED_FILES = 20;

/**
 * Returns whether no tombstone can have expired since the last whole comparison: then a record that is gone without one
 * was not deleted by a daemon.
 */
export function isRecent(comparedAt: number | undefined, now: number): boolean {
  return comparedAt !== undefined && comparedAt > now - RECENT_MS;
}

/** The losses of one comparison. */
export class Losses {
  readonly #store: BucketStore;
  readonly #keeps: boolean;
  /** Kept in the catalog without a record in the bucket. */
  #missing: number;
  #forgotten = 0;
  readonly #found: string[] = [];
  #foundCount = 0;
  /** Those whose changes are not written yet. */
  readonly #gone: string[] = [];

  /** `keeps`: a record that is gone was not deleted by a daemon. `missing`: what a part before has counted. */
  constructor(store: BucketStore, keeps: boolean, missing = 0) {
    this.#store = store;
    this.#keeps = keeps;
    this.#missing = missing;
  }

  /** Without what is found from now on. */
  get missingOnceWritten(): number {
    return this.#missing + (this.#keeps ? this.#gone.length : 0);
  }

  /** Returns whether records were gone that were there before. */
  get found(): boolean {
    return this.#foundCount > 0;
  }

  /** Notes an image that was known to be missing. */
  stays(): void {
    this.#missing += 1;
  }

  /** Returns the change for a live image whose record, last seen with the ETag `over`, is gone without a tombstone. */
  gone(filename: string, absent: FoundRecord & { kind: 'absent' }, over: string): FoundChange {
    this.#gone.push(filename);
    return this.#keeps ? { kind: 'missing', filename, over } : discovery(this.#store, filename, absent, over);
  }

  /** Counts as many as were written of those: a comparison that failed before that finds them again. */
  written(count: number): void {
    const gone = this.#gone.splice(0, count);
    if (!this.#keeps) {
      this.#forgotten += gone.length;
      return;
    }
    this.#missing += gone.length;
    this.#foundCount += gone.length;
    this.#found.push(...gone.slice(0, NAMED_FILES - this.#found.length));
  }

  /** Logs the losses that were found. */
  report(): void {
    const { log, name: provider } = this.#store.context;
    if (this.#forgotten > 0) {
      const why =
        'the catalog had not been compared with the bucket for 25 days, so they may have been deleted elsewhere';
      log.warn({ provider, images: this.#forgotten }, `images are gone from the bucket and left the catalog: ${why}`);
    }
    if (this.#foundCount > 0) {
      const facts = { provider, images: this.#foundCount, missing: this.#missing, filenames: this.#found };
      log.error(
        facts,
        `records are gone from the bucket, and no daemon deleted them; verify names them (${HELP.emptied})`,
      );
    }
  }

  /** When more than half of the images are missing, the store does not serve until they are back. */
  async judge(): Promise<void> {
    const { catalog, condition } = this.#store;
    const { count, trashCount } = await catalog.statistics();
    const most = this.#missing > 0 && 2 * this.#missing > count + trashCount;
    condition.noteLoss(most ? mostAreMissing('objects') : undefined);
  }
}
