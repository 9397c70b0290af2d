/** Writes changes to the catalog of a bucket: those that wait together share one transaction, and so one sync of the disk. */
import { setImmediate } from 'node:timers/promises';
import { GroupCommit } from '../async/group-commit.ts';
import type { BucketCatalog, BucketChange } from '../catalog/bucket-catalog.ts';
import type { ImageRecord } from '../domain/record.ts';

/** What `apply` says to each of the changes that were written together. */
type Earlier = (ImageRecord | undefined)[];

export class Journal {
  readonly #catalog: Pick<BucketCatalog, 'apply'>;
  readonly #groups = new GroupCommit<BucketChange[], Earlier>({
    // What is asked for in this turn of the event loop goes together.
    gather: () => setImmediate(),
    commit: (group) => this.#apply(group),
  });

  constructor(catalog: Pick<BucketCatalog, 'apply'>) {
    this.#catalog = catalog;
  }

  /** Resolves when all of the changes are durable, together, with what `apply` says to them. Rejects with the catalog's CatalogError. */
  write(...changes: BucketChange[]): Promise<Earlier> {
    return this.#groups.submit(changes);
  }

  /** Resolves when nothing waits. */
  idle(): Promise<void> {
    return this.#groups.idle();
  }

  async #apply(group: BucketChange[][]): Promise<Earlier[]> {
    const earlier = await this.#catalog.apply(group.flat());
    return group.map((changes) => earlier.splice(0, changes.length));
  }
}
