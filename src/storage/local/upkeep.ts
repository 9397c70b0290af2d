/** Background work of an open local store: syncs records, finishes deletes, purges tombstones, takes the reserve. */
import { syncFile, unlinkIfPresent } from '../disk/files.ts';
import { NotPlainError } from '../disk/plain-files.ts';
import { PurgeClock } from '../domain/purge-clock.ts';
import { finishUnlinks } from './delete.ts';
import { noteProgress } from './generation.ts';
import { restoreRecord, restoreUpdated, syncEach } from './recover.ts';
import type { Room } from './room.ts';
import { LOCAL_TOMBSTONE_MS, type LocalStore } from './store.ts';
import { purgeImage } from './trash.ts';

const TICK_MS = 1000;
/** At this age the kernel has written a record back on its own, and syncing it costs next to nothing. */
const RECORD_AGE_MS = 60_000;
const RECORD_BATCH = 500;
const PURGED_AT_ONCE = 100;
/** Interval for tombstones, the reserve and work that failed before. */
const SLOW_TICK_MS = 60_000;

export class Upkeep {
  readonly #store: LocalStore;
  readonly #room: Room;
  readonly #clock: PurgeClock;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopping = false;
  #nextSlowTick = 0;
  #pausedUntil = 0;
  #notedSequence: number | undefined;

  constructor(store: LocalStore, room: Room) {
    this.#store = store;
    this.#room = room;
    const { now, elapsed } = store.context;
    this.#clock = new PurgeClock({ now, ...(elapsed && { elapsed }) });
    this.#schedule();
  }

  /** Ends the background work; with `finish`, first completes unlinks and syncs records, as a clean stop requires. */
  async stop(finish: boolean): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    await this.#running;
    if (!finish) return;
    await this.#finishUnlinks();
    while (await this.#syncRecords());
    await restoreUpdated(this.#store);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#tick().finally(() => {
        if (!this.#stopping) this.#schedule();
      });
    }, TICK_MS).unref();
  }

  async #tick(): Promise<void> {
    const { condition, context, recovery } = this.#store;
    const now = context.now();
    if (!isReached(this.#pausedUntil, now) || !recovery.isDone) return;
    try {
      await condition.checkWritable();
    } catch {
      return;
    }
    try {
      await this.#work(now);
    } catch (error) {
      this.#pausedUntil = now + SLOW_TICK_MS;
      context.log.warn({ err: error, provider: context.name }, 'upkeep failed; it is tried again in a minute');
      await condition.fold(error);
    }
  }

  async #work(now: number): Promise<void> {
    const { catalog, reserve } = this.#store;
    const isSlow = isReached(this.#nextSlowTick, now);
    const mayPurge = this.#clock.mayPurge();
    if (!reserve.isWhole) await reserve.take();
    if (this.#store.unlinksPending || isSlow) await this.#finishUnlinks();
    await this.#noteProgress();
    while (!this.#stopping && (await this.#syncRecords({ from: now - RECORD_AGE_MS, to: now + TICK_MS })));
    if (!isSlow) return;
    this.#nextSlowTick = now + SLOW_TICK_MS;
    await restoreUpdated(this.#store);
    // By a clock that is ahead, names and keys would be free, and what came a moment ago forgotten.
    if (this.#clock.isSteady) await catalog.purgeTombstones(now - LOCAL_TOMBSTONE_MS, !mayPurge);
    // Also where a part of it was removed by hand.
    await reserve.take();
    await this.#room.keep();
    if (mayPurge) await this.#purgeDue(now);
  }

  /** Purges what has been in the trash for its time. */
  async #purgeDue(now: number): Promise<void> {
    const { catalog } = this.#store;
    if (now < (await catalog.quietUntil())) return;
    while (!this.#stopping) {
      const due = await catalog.dueTrash(PURGED_AT_ONCE, now);
      for (const { filename } of due) if (!this.#stopping) await purgeImage(this.#store, filename, now);
      if (due.length < PURGED_AT_ONCE) return;
    }
  }

  /** Notes how far the catalog has come where a restored one could not hide it. */
  async #noteProgress(): Promise<void> {
    const { layout, catalog, generation } = this.#store;
    const sequence = await catalog.lastSequence();
    if (sequence === this.#notedSequence) return;
    await noteProgress(layout, { generation, sequence });
    this.#notedSequence = sequence;
  }

  async #finishUnlinks(): Promise<void> {
    this.#store.unlinksPending = false;
    await finishUnlinks(this.#store);
  }

  /** Returns true when there may be more. Leaves records created in the span to a later pass. */
  async #syncRecords(young?: { from: number; to: number }): Promise<boolean> {
    const { catalog } = this.#store;
    const rows = await catalog.unsyncedRecords(RECORD_BATCH, young);
    const last = rows.at(-1);
    if (last === undefined) return false;
    await syncEach(this.#store, rows, (filename) => this.#syncRecord(filename));
    await catalog.setRecordsSynced(last.sequence);
    return rows.length === RECORD_BATCH;
  }

  #syncRecord(filename: string): Promise<void> {
    const { byFilename, catalog, layout, folders } = this.#store;
    return byFilename.run(filename, async () => {
      if (!(await isSynced(layout.record(filename)))) await restoreRecord(layout, folders, catalog, filename);
    });
  }
}

/** Returns whether it is time, also where the time was noted by a clock that went back since. */
function isReached(time: number, now: number): boolean {
  return now >= time || time > now + SLOW_TICK_MS;
}

/**
 * Returns false where the record is missing. Removes it where its sync fails: a second sync could falsely succeed.
 * Rejects with NotPlainError.
 */
async function isSynced(path: string): Promise<boolean> {
  try {
    return await syncFile(path);
  } catch (error) {
    if (error instanceof NotPlainError) throw error;
    await unlinkIfPresent(path);
    return false;
  }
}
