/** Writes to the catalog what a comparison with the bucket has found, while it goes on: some groups at once to one that is not filled. */
import type { FoundChange } from '../catalog/bucket-catalog.ts';
import type { BucketStore } from './store.ts';

/** While one is being written, the next waits at hand; a shared index takes two at once. */
const AT_ONCE_WHILE_FILLING = 2;

export class ComparisonWrites {
  readonly #write: (group: readonly FoundChange[]) => Promise<unknown>;
  readonly #atOnce: number;
  /** Those that failed stay. */
  readonly #running = new Set<Promise<void>>();

  constructor({ comparing }: Pick<BucketStore, 'comparing'>, isFilling: boolean) {
    this.#write = isFilling ? (group) => comparing.fill(group) : (group) => comparing.write(...group);
    this.#atOnce = isFilling ? AT_ONCE_WHILE_FILLING : 1;
  }

  /** Begins to write a group once there is room for it. Rejects where one before could not be written. */
  async add(group: readonly FoundChange[], onWritten: () => void = () => {}): Promise<void> {
    while (this.#running.size >= this.#atOnce) await Promise.race(this.#running);
    const writing = this.#write(group).then(() => {
      this.#running.delete(writing);
      onWritten();
    });
    writing.catch(() => {});
    this.#running.add(writing);
  }

  /** Resolves once all is written that was added by now. Rejects where something could not be. */
  async done(): Promise<void> {
    const running = [...this.#running];
    await Promise.allSettled(running);
    await Promise.all(running);
  }
}
