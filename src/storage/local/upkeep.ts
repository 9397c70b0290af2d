/** The slow background work of an open store: records to stable storage, ends of deletes, old tombstones, the reserve. */
import { dirname } from 'node:path';
import { takeReserve } from './file-system.ts';
import { syncFile, unlinkIfPresent } from './files.ts';
import { finishUnlinks, restoreRecord, syncFolders } from './recovery.ts';
import { type LocalStore, unlinkImage } from './store.ts';

const TICK_MS = 1000;
/** By then the kernel has written a record on its own, and syncing it costs next to nothing. */
const RECORD_AGE_MS = 60_000;
const RECORD_BATCH = 200;
const TOMBSTONE_AGE_MS = 24 * 60 * 60 * 1000;
const SLOW_TICK_MS = 60_000;

export class Upkeep {
  readonly #store: LocalStore;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #unlinksPending = false;
  #lastSlowTick = 0;

  constructor(store: LocalStore) {
    this.#store = store;
    this.#schedule();
  }

  /** A delete was committed whose files are to be forgotten. */
  unlinksArePending(): void {
    this.#unlinksPending = true;
  }

  /** Ends the background work; with `finish`, syncs every record first, so that the stop may be called clean. */
  async stop(finish: boolean): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
    if (!finish) return;
    await this.#finishUnlinks();
    while ((await this.#syncRecords(Number.MAX_SAFE_INTEGER)) > 0);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#tick().finally(() => {
        if (this.#timer !== undefined) this.#schedule();
      });
    }, TICK_MS).unref();
  }

  async #tick(): Promise<void> {
    const { condition, context, layout, catalog } = this.#store;
    if (!condition.health.serving) return;
    try {
      if (this.#unlinksPending) await this.#finishUnlinks();
      const now = context.now();
      await this.#syncRecords(now - RECORD_AGE_MS);
      if (now - this.#lastSlowTick < SLOW_TICK_MS) return;
      this.#lastSlowTick = now;
      await catalog.purgeTombstones(now - TOMBSTONE_AGE_MS);
      await takeReserve(layout);
    } catch (error) {
      context.log.warn({ err: error, provider: context.name }, 'upkeep failed');
      await condition.foldCommitError(error);
    }
  }

  async #finishUnlinks(): Promise<void> {
    const { byFilename, layout, context } = this.#store;
    this.#unlinksPending = false;
    const unlink = (filename: string) =>
      byFilename.run(filename, () => unlinkImage(layout, filename, context.failpoint));
    await finishUnlinks({ ...this.#store, failpoint: context.failpoint }, unlink);
  }

  async #syncRecords(createdBefore: number): Promise<number> {
    const { layout, catalog } = this.#store;
    const rows = await catalog.unsyncedRecords(createdBefore, RECORD_BATCH);
    const last = rows.at(-1);
    if (last === undefined) return 0;
    await Promise.all(rows.map(({ record }) => this.#syncRecord(record.filename)));
    await syncFolders(rows.map(({ record }) => dirname(layout.record(record.filename))));
    await catalog.setRecordsSynced(last.sequence);
    return rows.length;
  }

  #syncRecord(filename: string): Promise<void> {
    const { byFilename, catalog, layout, folders } = this.#store;
    return byFilename.run(filename, async () => {
      if (await isSynced(layout.record(filename))) return;
      const row = await catalog.find(filename);
      if (row !== undefined) await restoreRecord(layout, folders, row);
    });
  }
}

/** False where the record is missing, or was removed because its sync failed: a second one would not tell the truth. */
async function isSynced(path: string): Promise<boolean> {
  try {
    return await syncFile(path);
  } catch {
    await unlinkIfPresent(path);
    return false;
  }
}
