/** Writes changes to the catalog of a bucket: those that wait together share one transaction, and so one sync of the disk. */
import { setImmediate } from 'node:timers/promises';
import type { BucketCatalog, BucketChange } from '../catalog/bucket-catalog.ts';
import type { ImageRecord } from '../domain/record.ts';

const MAX_GROUP = 64;

interface Waiting {
  changes: readonly BucketChange[];
  resolve: (earlier: (ImageRecord | undefined)[]) => void;
  reject: (error: unknown) => void;
}

export class Journal {
  readonly #catalog: Pick<BucketCatalog, 'apply'>;
  readonly #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(catalog: Pick<BucketCatalog, 'apply'>) {
    this.#catalog = catalog;
  }

  /** Resolves when all of the changes are durable, together, with what `apply` says to them. Rejects with the catalog's CatalogError. */
  write(...changes: BucketChange[]): Promise<(ImageRecord | undefined)[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ changes, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // What is asked for in this turn of the event loop goes together.
      await setImmediate();
      const group = this.#waiting.splice(0, MAX_GROUP);
      try {
        const earlier = await this.#catalog.apply(group.flatMap(({ changes }) => changes));
        for (const { changes, resolve } of group) resolve(earlier.splice(0, changes.length));
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#running = undefined;
  }
}
