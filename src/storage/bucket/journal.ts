/** Writes changes to the catalog of a bucket in groups: those that wait share one transaction and one disk sync. */
import { setImmediate } from 'node:timers/promises';
import { GroupCommit } from '../async/group-commit.ts';
import type { BucketCatalog, BucketChange, FoundChange } from '../catalog/bucket-catalog.ts';
import { CatalogError, type EarlierSave } from '../catalog/catalog.ts';

/** The results of `apply`, one per change. */
type Earlier = (EarlierSave | undefined)[];

export class Journal {
  readonly #catalog: Pick<BucketCatalog, 'apply' | 'fill'>;
  readonly #makeRoom: () => Promise<boolean>;
  readonly #groups = new GroupCommit<BucketChange[], Earlier>({
    // Joins all writes of this turn of the event loop.
    gather: () => setImmediate(),
    commit: (group) => this.#apply(group),
  });

  /** `makeRoom` returns whether it had any room to give. */
  constructor(catalog: Pick<BucketCatalog, 'apply' | 'fill'>, makeRoom: () => Promise<boolean> = async () => false) {
    this.#catalog = catalog;
    this.#makeRoom = makeRoom;
  }

  /** Resolves with the results of `apply` once all changes are durable, together. Rejects with a CatalogError. */
  write(...changes: BucketChange[]): Promise<Earlier> {
    return this.#groups.submit(changes);
  }

  /** As the `fill` of the catalog, which the changes need not survive a power cut for. */
  fill(changes: readonly FoundChange[]): Promise<void> {
    return this.#withRoom(() => this.#catalog.fill(changes));
  }

  /** Resolves when no change is waiting. */
  idle(): Promise<void> {
    return this.#groups.idle();
  }

  async #apply(group: BucketChange[][]): Promise<Earlier[]> {
    const earlier = await this.#withRoom(() => this.#catalog.apply(group.flat()));
    return group.map((changes) => earlier.splice(0, changes.length));
  }

  async #withRoom<T>(apply: () => Promise<T>): Promise<T> {
    try {
      return await apply();
    } catch (error) {
      const isFull = error instanceof CatalogError && error.failure === 'full';
      if (!isFull || !(await this.#makeRoom())) throw error;
      return apply();
    }
  }
}
