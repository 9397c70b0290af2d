/** Room on the disk of a local store: where it runs short, previews give way, then images of the trash, the first due first. */
import { capacityOf } from '../disk/file-system.ts';
import { emptyPreviews } from '../disk/preview-files.ts';
import type { LocalTrashSettings } from '../domain/config.ts';
import { StorageError } from '../domain/errors.ts';
import type { LocalStore } from './store.ts';
import { purgeImage } from './trash.ts';

const GIB = 1024 ** 3;
/** The free room below which the trash gives way, where no setting says so. */
const LEAST_SHARE = 0.05;
const MOST_LEAST_BYTES = 2 * GIB;
/** Space that a save leaves for its record and the catalog. */
const HEADROOM_BYTES = 256 * 1024;
/** Saves that begin together share one measurement, since the write itself decides. */
const FRESH_MS = 100;
const BATCH = 50;

interface Measured {
  freeBytes: number;
  /** Below it the trash gives way. */
  leastBytes: number;
}

export class Room {
  readonly #store: LocalStore;
  readonly #minFreeBytes: number | undefined;
  #last: { at: number; measured: Promise<Measured> } | undefined;
  #purging: Promise<number> | undefined;

  constructor(store: LocalStore, { minFreeBytes }: LocalTrashSettings = {}) {
    this.#store = store;
    this.#minFreeBytes = minFreeBytes;
    store.reserve.relieveBy(() => this.#purgeSome(0));
  }

  /** Returns whether there is so little room that the trash gives way, and deletes are for good. */
  async isShort(): Promise<boolean> {
    const isShort = ({ freeBytes, leastBytes }: Measured) => freeBytes < leastBytes;
    if (!isShort(await this.#measure())) return false;
    return !(await this.emptyPreviews()) || isShort(await this.#measureAnew());
  }

  /** Previews give way to whatever else needs room. Returns whether there were any. */
  async emptyPreviews(): Promise<boolean> {
    const { layout, reserve, context } = this.#store;
    if ((await emptyPreviews(layout.previews)) === 0) return false;
    await reserve.take();
    context.log.info({ provider: context.name }, 'the disk is nearly full: the previews were removed');
    return true;
  }

  /** Makes room for a save of this size. Rejects with DISK_FULL where there is none, and nothing in the trash. */
  async provide(sizeBytes: number): Promise<void> {
    const { freeBytes, leastBytes } = await this.#measure();
    if (freeBytes >= sizeBytes + Math.max(leastBytes, HEADROOM_BYTES)) return;
    if (freeBytes >= sizeBytes + HEADROOM_BYTES) {
      // There is enough for this one: it does not wait for what the next ones need.
      this.#make(sizeBytes).catch(() => undefined);
      return;
    }
    await this.#makeAtLeast(sizeBytes + HEADROOM_BYTES);
  }

  /** Others may take what was freed: it goes on while there is something in the trash. */
  async #makeAtLeast(bytes: number): Promise<void> {
    for (;;) {
      const { freeBytes, leastBytes } = await this.#measureAnew();
      if (freeBytes >= bytes) return;
      if ((await this.#purgeSome(bytes + leastBytes - freeBytes)) === 0) {
        throw new StorageError('DISK_FULL', 'the disk of the store is full');
      }
    }
  }

  /** Purges images of the trash while there is little room. */
  async keep(): Promise<void> {
    if (await this.isShort()) await this.#make(0);
  }

  #measure(): Promise<Measured> {
    const now = performance.now();
    if (this.#last === undefined || now - this.#last.at > FRESH_MS) return this.#measureAnew();
    return this.#last.measured;
  }

  #measureAnew(): Promise<Measured> {
    const measured = this.#look();
    this.#last = { at: performance.now(), measured };
    return measured;
  }

  /** A path that does not exist has all the room: the write itself says what is wrong. */
  async #look(): Promise<Measured> {
    const { capacityBytes = 0, freeBytes = Number.POSITIVE_INFINITY } = await capacityOf(this.#store.layout.basePath);
    const leastBytes = this.#minFreeBytes ?? Math.min(capacityBytes * LEAST_SHARE, MOST_LEAST_BYTES);
    return { freeBytes, leastBytes };
  }

  /** Purges until this much more fits, or nothing is left in the trash. */
  async #make(bytes: number): Promise<void> {
    for (;;) {
      const { freeBytes, leastBytes } = await this.#measureAnew();
      const missing = leastBytes + bytes - freeBytes;
      if (missing <= 0 || (await this.#purgeSome(missing)) === 0) return;
    }
  }

  /**
   * Removes the previews; where there are none, purges at least one image, and as many as have these bytes. Returns 0 where
   * there is nothing left. Callers that come meanwhile share it.
   */
  #purgeSome(bytes: number): Promise<number> {
    this.#purging ??= this.#giveUp(bytes).finally(() => {
      this.#purging = undefined;
    });
    return this.#purging;
  }

  /** Previews before images. */
  async #giveUp(bytes: number): Promise<number> {
    return (await this.emptyPreviews()) ? 1 : this.#purgeBatch(bytes);
  }

  async #purgeBatch(bytes: number): Promise<number> {
    const { catalog, reserve, context } = this.#store;
    let [count, freed] = [0, 0];
    for (const { filename, size } of await catalog.dueTrash(BATCH)) {
      if (!(await purgeImage(this.#store, filename)).done) continue;
      count += 1;
      freed += size;
      if (freed >= bytes) break;
    }
    if (count > 0) {
      await reserve.take();
      context.log.warn(
        { provider: context.name, images: count, bytes: freed },
        'the disk is nearly full: images were purged from the trash before their time',
      );
    }
    return count;
  }
}
