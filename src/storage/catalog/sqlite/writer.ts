/** All changes of the SQLite catalog, synchronous: commits, housekeeping, loading and repair. */
import type { ImageRecord, TrashedRecord } from '../../domain/record.ts';
import type { BucketChange, FoundChange } from '../bucket-catalog.ts';
import {
  CatalogError,
  type Change,
  type ChangeOutcome,
  type EarlierSave,
  type LogState,
  type PendingUnlink,
  type ThumbHash,
  type Tombstone,
  type UpdatedRecord,
} from '../catalog.ts';
import { BucketChanges } from './bucket-changes.ts';
import { Connection } from './connection.ts';
import { dropOldDeleted } from './deleted-bytes.ts';
import { Derived } from './derived.ts';
import { Gate } from './gate.ts';
import { ImageRows } from './image-rows.ts';
import { countOlder } from './label-counts.ts';
import { IN_TRASH } from './migrations/007-trash.ts';
import {
  type CatalogFile,
  closeCatalog,
  createEmpty,
  type Opened,
  openExisting,
  raiseGeneration,
  seal,
} from './opening.ts';
import { setUpdatedSynced, takeNewer, takeNewerTrashed, updateRow } from './revisions.ts';
import { emptyIndex, TextIndex } from './text-index.ts';
import { setThumbHashes } from './thumb-hashes.ts';
import { WriteAheadLog } from './write-ahead-log.ts';

const PURGED_AT_ONCE = 1000;
/** Each page of the file is written less often so, and copied from the log. */
const FILLING = { cacheKib: 16 * 1024, checkpointBytes: 16 * 1024 * 1024 };

/** The methods follow the contract; a generator returns the result after pauses, during which other calls may run. */
export class CatalogWriter {
  readonly #file: CatalogFile;
  readonly #db: Connection;
  readonly #bucket: BucketChanges;
  readonly #rows: ImageRows;
  readonly #log: WriteAheadLog;
  #searchRepaired = false;

  /** `gate` is the one that the reads of this process pass. */
  constructor(file: CatalogFile, gate: Gate = new Gate()) {
    this.#file = file;
    this.#db = new Connection(file.path, false);
    this.#rows = new ImageRows(this.#db);
    this.#bucket = new BucketChanges(this.#db, this.#rows);
    this.#log = new WriteAheadLog(this.#db, file.path, gate);
  }

  get #labelling(): { db: Connection; rows: ImageRows } {
    return { db: this.#db, rows: this.#rows };
  }

  open(): Opened {
    return openExisting(this.#db, this.#file);
  }

  create(): void {
    createEmpty(this.#db, this.#file);
  }

  seal(): void {
    seal(this.#db);
  }

  close(clean: boolean): void {
    closeCatalog(this.#db, clean);
  }

  raiseGeneration(above: number): number {
    return raiseGeneration(this.#db, above);
  }

  commit(changes: readonly Change[]): ChangeOutcome[] {
    const outcomes = this.#repairingSearch(() => this.#apply(changes));
    this.#log.limit();
    return outcomes;
  }

  #apply(changes: readonly Change[]): ChangeOutcome[] {
    return this.#db.transactionInPlace(() => {
      const derived = new Derived(this.#db);
      const outcomes = changes.map((change) => this.#change(change, derived));
      derived.write();
      return outcomes;
    });
  }

  #change(change: Change, derived: Derived): ChangeOutcome {
    switch (change.kind) {
      case 'insert':
        return this.#insert(change, derived);
      case 'update':
        return updateRow(this.#labelling, change, derived);
      case 'delete':
        return this.#delete(change, derived);
      case 'purge':
        return this.#purge(change, derived);
      case 'restoring':
        return this.#restoring(change);
      case 'restore':
        return this.#restore(change, derived);
    }
  }

  #insert({ record, arrival }: Change & { kind: 'insert' }, derived: Derived): ChangeOutcome {
    const earlier = this.#rows.withKey(record.idempotencyKey);
    if (earlier !== undefined) return { done: false, why: 'key_taken', ...earlier };
    if (this.#rows.isTaken(record.filename)) return { done: false, why: 'filename_taken' };
    this.#rows.add(record, derived, arrival);
    return { done: true, record };
  }

  #delete(change: Change & { kind: 'delete' }, derived: Derived): ChangeOutcome {
    const { filename, deleteTime, sparePinned, purgeTime } = change;
    const row = this.#rows.live(filename);
    if (row === undefined) return { done: false, why: 'not_found' };
    const { seq, record } = row;
    if (record.pinned && sparePinned) return { done: false, why: 'pinned' };
    if (purgeTime === undefined) this.#rows.bury(seq, record, deleteTime, derived);
    else this.#rows.trash(seq, record, { deleteTime, purgeTime }, derived);
    return { done: true, record };
  }

  #purge({ filename, deleteTime, dueBy }: Change & { kind: 'purge' }, derived: Derived): ChangeOutcome {
    const row = this.#rows.trashed(filename);
    if (row === undefined || (dueBy !== undefined && !this.#rows.isDue(row.seq, dueBy)))
      return { done: false, why: 'not_found' };
    this.#rows.bury(row.seq, row.record, deleteTime, derived);
    return { done: true, record: row.record };
  }

  #restoring({ filename }: Change & { kind: 'restoring' }): ChangeOutcome {
    const row = this.#rows.trashed(filename);
    if (row === undefined) return this.#notInTrash(filename);
    this.#db.run('UPDATE images SET unlink_pending = 1 WHERE seq = ?', row.seq);
    // What finishes an earlier move does not clear the mark.
    this.#db.run('UPDATE trash SET attempts = attempts + 1 WHERE seq = ?', row.seq);
    return { done: true, record: row.record };
  }

  #restore({ filename, time }: Change & { kind: 'restore' }, derived: Derived): ChangeOutcome {
    const row = this.#rows.trashed(filename);
    if (row === undefined) return this.#notInTrash(filename);
    return { done: true, record: this.#rows.restore(row.seq, row.record, time, derived) };
  }

  #notInTrash(filename: string): ChangeOutcome {
    return { done: false, why: this.#rows.live(filename) === undefined ? 'not_found' : 'not_deleted' };
  }

  apply(changes: readonly BucketChange[]): (EarlierSave | undefined)[] {
    const earlier = this.#applyAll(changes);
    if (changes.some(({ kind }) => kind === 'filled')) this.#db.setCache();
    this.#log.limit();
    return earlier;
  }

  fill(changes: readonly FoundChange[]): void {
    this.#db.setCache(FILLING.cacheKib);
    this.#db.exec('PRAGMA synchronous = NORMAL');
    try {
      this.#applyAll(changes);
    } finally {
      this.#db.exec(`PRAGMA synchronous = ${this.#file.synchronous ?? 'FULL'}`);
    }
    this.#log.limit(FILLING.checkpointBytes);
  }

  #applyAll(changes: readonly BucketChange[]): (EarlierSave | undefined)[] {
    return this.#repairingSearch(() =>
      this.#db.transaction(() => {
        const derived = new Derived(this.#db);
        const found = changes.map((change) => this.#bucket.apply(change, derived));
        derived.write();
        return found;
      }),
    );
  }

  clearPendingUnlinks(done: readonly PendingUnlink[]): void {
    const ofTombstone = 'UPDATE images SET unlink_pending = 0 WHERE filename = ? AND delete_time = ?';
    const ofTrashed = `
      UPDATE images SET unlink_pending = 0
      WHERE filename = ? AND (?, ?) = (SELECT delete_time, attempts FROM trash WHERE trash.seq = images.seq)`;
    this.#db.transactionInPlace(() => {
      for (const { filename, deleteTime, inTrash, attempts } of done) {
        if (inTrash) this.#db.run(ofTrashed, filename, deleteTime, attempts);
        else this.#db.run(ofTombstone, filename, deleteTime);
      }
    });
  }

  setQuietUntil(time: number): void {
    const sql = `
      INSERT INTO store (name, value) VALUES ('quiet_until', ?)
      ON CONFLICT DO UPDATE SET value = max(value, excluded.value)`;
    this.#db.transactionInPlace(() => this.#db.run(sql, time));
  }

  *purgeTombstones(deletedBefore: number, keepsArrivals = false): Generator<void, number> {
    const sql = `
      DELETE FROM images WHERE seq IN (
        SELECT seq FROM images INDEXED BY images_deleted
        WHERE delete_time < ? AND delete_time IS NOT NULL AND unlink_pending = 0 LIMIT ${PURGED_AT_ONCE})`;
    const old = 'DELETE FROM arrivals WHERE time < ?';
    if (!keepsArrivals) this.#db.transactionInPlace(() => this.#db.run(old, deletedBefore));
    this.#db.transactionInPlace(() => dropOldDeleted(this.#db, deletedBefore));
    for (let purged = 0; ; ) {
      const { changes } = this.#db.transactionInPlace(() => this.#db.run(sql, deletedBefore));
      purged += changes;
      if (changes < PURGED_AT_ONCE) return purged;
      this.#log.limit();
      yield;
    }
  }

  setThumbHashes(hashes: readonly ThumbHash[]): void {
    this.#db.transaction(() => setThumbHashes(this.#db, hashes));
    this.#log.limit();
  }

  setRecordsSynced(sequence: number): void {
    const sql = "UPDATE store SET value = max(value, ?) WHERE name = 'records_synced'";
    this.#db.transactionInPlace(() => this.#db.run(sql, sequence));
  }

  setUpdatedSynced(updated: readonly UpdatedRecord[]): void {
    this.#db.transactionInPlace(() => setUpdatedSynced(this.#db, updated));
  }

  load(records: readonly ImageRecord[]): number {
    const loaded = this.#db.transaction(() => {
      const derived = new Derived(this.#db);
      const changed = records.filter((record) => this.#loadOne(record, derived));
      derived.write();
      return changed.length;
    });
    this.#log.limit();
    return loaded;
  }

  #loadOne(record: ImageRecord, derived: Derived): boolean {
    if (this.#rows.isInTrash(record.filename)) this.#rows.drop(record.filename, derived);
    if (this.#rows.isTaken(record.filename)) return takeNewer(this.#labelling, record, derived);
    this.#rows.add(this.#rows.withFreeKey(record), derived);
    return true;
  }

  loadStaged(records: readonly ImageRecord[]): number {
    const added = this.#db.transaction(() => {
      const derived = new Derived(this.#db);
      // Before any is added: of two with one key the later may be the one that was committed.
      const wanted = records.filter((record) => !this.#rows.isTaken(record.filename) && !this.#isStandingKey(record));
      for (const record of records) takeNewer(this.#labelling, record, derived);
      for (const record of wanted) this.#rows.add(this.#rows.withFreeKey(record), derived);
      derived.write();
      return wanted.length;
    });
    this.#log.limit();
    return added;
  }

  /** Returns whether an image that is live, or in the trash, has the key. */
  #isStandingKey({ idempotencyKey }: ImageRecord): boolean {
    const sql = `
      SELECT 1 FROM images
      WHERE idempotency_key = ? AND idempotency_key <> '' AND (delete_time IS NULL OR delete_time = ${IN_TRASH})`;
    return this.#db.value(sql, idempotencyKey) === 1;
  }

  /** Adds deleted images by the same rules. */
  loadTombstones(tombstones: readonly Tombstone[]): void {
    this.#db.transaction(() => {
      for (const tombstone of tombstones)
        if (!this.#rows.isTaken(tombstone.record.filename)) this.#rows.addTombstone(tombstone);
    });
    this.#log.limit();
  }

  loadDeletes(tombstones: readonly Tombstone[]): number {
    const deleted = this.#db.transaction(() => {
      const derived = new Derived(this.#db);
      const standing = tombstones.filter((tombstone) => this.#replaceStanding(tombstone, derived));
      derived.write();
      return standing.length;
    });
    this.loadTombstones(tombstones);
    return deleted;
  }

  /** Replaces the row of an image, live or in the trash, with the tombstone. Returns false when there is none. */
  #replaceStanding(tombstone: Tombstone, derived: Derived): boolean {
    const { filename, idempotencyKey } = tombstone.record;
    if (this.#rows.live(filename) === undefined && !this.#rows.isInTrash(filename)) return false;
    const record = { ...this.#rows.drop(filename, derived)!, idempotencyKey };
    this.#rows.addTombstone({ ...tombstone, record });
    return true;
  }

  loadTrash(records: readonly TrashedRecord[]): number {
    const loaded = this.#db.transaction(() => {
      const derived = new Derived(this.#db);
      const changed = records.filter((record) => this.#loadTrashed(record, derived));
      derived.write();
      return changed.length;
    });
    this.#log.limit();
    return loaded;
  }

  #loadTrashed(trashed: TrashedRecord, derived: Derived): boolean {
    takeNewer(this.#labelling, trashed, derived);
    const live = this.#rows.live(trashed.filename);
    if (live !== undefined) this.#rows.trash(live.seq, live.record, trashed, derived);
    else if (this.#rows.isInTrash(trashed.filename)) {
      this.#rows.moveAgain(trashed.filename);
      const isRelabelled = takeNewerTrashed(this.#labelling, trashed);
      return this.#rows.postponePurge(trashed.filename, trashed.purgeTime) || isRelabelled;
    } else if (this.#rows.isTaken(trashed.filename)) return false;
    else this.#rows.addTrashed(trashed, derived, true);
    return true;
  }

  forgetDeletes(broughtBack: readonly { filename: string; time: number }[]): number {
    const sql = 'DELETE FROM images WHERE filename = ? AND delete_time < ?';
    return this.#db.transaction(() =>
      broughtBack.reduce((count, { filename, time }) => count + this.#db.run(sql, filename, time).changes, 0),
    );
  }

  /**
   * Empties a damaged text index, once per process; later calls do nothing. `indexOlder` fills it again. Throws a
   * CatalogError `corrupt` when anything else is damaged, too.
   */
  repairSearch(): void {
    if (this.#searchRepaired) return;
    this.#searchRepaired = true;
    // Dropping a table of a damaged file could free pages that other tables use.
    this.#checkSound("PRAGMA quick_check('images')");
    this.#db.transaction(() => {
      emptyIndex(this.#db);
      this.#checkSound('PRAGMA quick_check');
    });
  }

  /** Adds some of the images that the text index does not have. Returns whether there may be more. */
  indexOlder(): boolean {
    const more = this.#repairingSearch(() => this.#db.transactionInPlace(() => new TextIndex(this.#db).indexOlder()));
    this.#log.limit();
    return more;
  }

  /** Counts the labels of some of the images whose labels are not counted. Returns whether there may be more. */
  countOlder(): boolean {
    const more = this.#db.transactionInPlace(() => countOlder(this.#db));
    this.#log.limit();
    return more;
  }

  #repairingSearch<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof CatalogError) || error.failure !== 'corrupt' || this.#searchRepaired) throw error;
      this.repairSearch();
      return work();
    }
  }

  #checkSound(check: string): void {
    const found = this.#db.value(check);
    if (found !== 'ok') throw new CatalogError('corrupt', String(found));
  }

  copyLog(): LogState {
    return this.#db.copyLog();
  }
}
