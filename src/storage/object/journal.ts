/** Writes changes to the catalog of a bucket: those that wait together share one transaction, and so one sync of the disk. */
import type { BucketCatalog, BucketChange } from '../catalog/types.ts';

const MAX_GROUP = 64;

interface Waiting {
  changes: readonly BucketChange[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class Journal {
  readonly #catalog: BucketCatalog;
  readonly #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(catalog: BucketCatalog) {
    this.#catalog = catalog;
  }

  /** Resolves when all of the changes are durable, together. Rejects with the catalog's CatalogError. */
  write(...changes: BucketChange[]): Promise<void> {
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
    // What is asked for in this turn of the event loop goes together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, MAX_GROUP);
      try {
        await this.#catalog.apply(group.flatMap(({ changes }) => changes));
        for (const { resolve } of group) resolve();
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#running = undefined;
  }
}
