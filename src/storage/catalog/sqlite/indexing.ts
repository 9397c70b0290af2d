/** Fills what is derived behind the calls of an open catalog: after a migration, a rebuild or a repair. */
import { setTimeout as sleep } from 'node:timers/promises';

/** When it is looked again whether the index is complete, or room for it on the disk. */
const PAUSE_MS = 60_000;

export class Indexing {
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  /** `index` adds some images, and returns whether there may be more. */
  constructor(index: () => Promise<boolean>) {
    this.#running = this.#run(index);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(index: () => Promise<boolean>): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // What fails is reported by whoever needs the catalog next; searches are right without the index.
      const more = await index().catch(() => false);
      if (!more) await sleep(PAUSE_MS, undefined, { ref: false, signal }).catch(() => {});
    }
  }
}
