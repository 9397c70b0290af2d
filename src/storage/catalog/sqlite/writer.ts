/** All changes of the SQLite catalog, synchronous: commits, housekeeping, loading and repair. */
import { statSync } from 'node:fs';
import { revisionOf } from '../../domain/changes.ts';
import { imageKey } from '../../domain/naming.ts';
import type { ImageRecord } from '../../domain/record.ts';
import type { BucketChange, FoundRecord, PendingOperation, RecordTombstone } from '../bucket-catalog.ts';
import {
  CatalogError,
  type Change,
  type ChangeOutcome,
  type LogState,
  type Tombstone,
  type UpdatedRecord,
} from '../catalog.ts';
import { BucketRecords } from './bucket-records.ts';
import { Connection } from './connection.ts';
import { Derived } from './derived.ts';
import { Gate } from './gate.ts';
import { countOlder } from './label-counts.ts';
import {
  type CatalogFile,
  checkpoint,
  closeCatalog,
  createEmpty,
  isPassing,
  noteCheckpoint,
  type Opened,
  openExisting,
  raiseGeneration,
  seal,
} from './opening.ts';
import { dropRevision, knownRevision, noteRevision, setUpdatedSynced, takeNewer, updateRow } from './revisions.ts';
import { INSERT_IMAGE, RECORD_COLUMNS, toRecord, toRow } from './rows.ts';
import { emptyIndex, TextIndex } from './text-index.ts';

/** How far the WAL grows before it is copied into the database. */
const CHECKPOINT_BYTES = 4 * 1024 * 1024;
/** Emptying begins here; until the running slice of a read has ended, the WAL grows further. */
const MAX_WAL_BYTES = 24 * 1024 * 1024;
const PURGED_AT_ONCE = 1000;

/** The methods follow the contract; a generator returns the result after pauses, during which other calls may run. */
export class CatalogWriter {
  readonly #file: CatalogFile;
  readonly #db: Connection;
  readonly #bucket: BucketRecords;
  readonly #gate: Gate;
  #searchRepaired = false;
  /** The size of the WAL at the last checkpoint. */
  #checkpointedBytes = 0;

  /** `gate` is the one that the reads of this process pass. */
  constructor(file: CatalogFile, gate: Gate = new Gate()) {
    this.#file = file;
    this.#gate = gate;
    this.#db = new Connection(file.path, false);
    this.#bucket = new BucketRecords(this.#db);
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
    this.#limitWal();
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
    if (change.kind === 'insert') return this.#insert(change.record, derived);
    return change.kind === 'update' ? updateRow(this.#db, change, derived) : this.#delete(change, derived);
  }

  #insert(record: ImageRecord, derived: Derived): ChangeOutcome {
    const earlier = this.#withKey(record.idempotencyKey);
    if (earlier !== undefined) return { done: false, why: 'key_taken', record: earlier };
    if (this.#isTaken(record.filename)) return { done: false, why: 'filename_taken' };
    this.#add(record, derived);
    return { done: true, record };
  }

  #delete({ filename, deleteTime, sparePinned }: Change & { kind: 'delete' }, derived: Derived): ChangeOutcome {
    const row = this.#db.get(
      `SELECT seq, ${RECORD_COLUMNS} FROM images WHERE filename = ? AND delete_time IS NULL`,
      filename,
    );
    if (row === undefined) return { done: false, why: 'not_found' };
    const record = toRecord(row);
    if (record.pinned && sparePinned) return { done: false, why: 'pinned' };
    derived.remove(row.seq as number, record);
    dropRevision(this.#db, row.seq as number);
    this.#db.run('UPDATE images SET delete_time = ?, unlink_pending = 1 WHERE seq = ?', deleteTime, row.seq!);
    return { done: true, record };
  }

  #withKey(idempotencyKey: string): ImageRecord | undefined {
    if (idempotencyKey === '') return undefined;
    const sql = `SELECT ${RECORD_COLUMNS} FROM images WHERE idempotency_key = ? AND idempotency_key <> ''`;
    const row = this.#db.get(sql, idempotencyKey);
    return row && toRecord(row);
  }

  #isTaken(filename: string): boolean {
    return this.#db.value('SELECT 1 FROM images WHERE filename = ?', filename) === 1;
  }

  #add(record: ImageRecord, derived: Derived): void {
    const row = { ...toRow(record), deleteTime: null, unlinkPending: 0 };
    const seq = this.#db.runNamed(INSERT_IMAGE, row).lastInsertRowid;
    noteRevision(this.#db, seq, record);
    derived.add(seq, record);
  }

  apply(changes: readonly BucketChange[]): (ImageRecord | undefined)[] {
    const earlier = this.#repairingSearch(() =>
      this.#db.transaction(() => {
        const derived = new Derived(this.#db);
        const found = changes.map((change) => this.#applyToBucket(change, derived));
        derived.write();
        return found;
      }),
    );
    this.#limitWal();
    return earlier;
  }

  #applyToBucket(change: BucketChange, derived: Derived): ImageRecord | undefined {
    if (change.kind === 'begin') return this.#begin(change.operation);
    if (change.kind === 'end') this.#bucket.end(change.nonce);
    else if (change.kind === 'sweep') this.#bucket.setSweepTime(change.filename, change.sweepTime);
    else if (change.kind === 'filled') this.#bucket.setFilled(change.comparedAt);
    else if (change.kind === 'probed') this.#bucket.setProbed();
    else if (change.kind === 'missing') this.#bucket.setMissing(change.filename, change.over);
    else this.#noteFound(change, derived);
    return undefined;
  }

  #begin(operation: PendingOperation): ImageRecord | undefined {
    const earlier = operation.kind === 'save' ? this.#withKey(operation.idempotencyKey) : undefined;
    if (earlier === undefined) this.#bucket.begin(operation);
    return earlier;
  }

  #noteFound({ filename, found, over, sweepTime = 0 }: BucketChange & { kind: 'found' }, derived: Derived): void {
    const known = this.#bucket.known(filename)?.etag;
    const isNews = found.kind === 'absent' ? known !== undefined : known !== found.etag;
    if (!isNews || (found.kind !== 'tombstone' && known !== over && !this.#isUpdate(filename, found))) return;
    this.#index(filename, found, derived);
    this.#bucket.note(filename, found, sweepTime);
  }

  /** Returns whether it is a later revision than the live image that the catalog has, however it came to that. */
  #isUpdate(filename: string, found: FoundRecord): boolean {
    const known = knownRevision(this.#db, filename);
    return found.kind === 'live' && known !== undefined && revisionOf(found.record) > known;
  }

  #index(filename: string, found: FoundRecord, derived: Derived): void {
    const record = this.#drop(filename, derived);
    if (found.kind === 'live') this.#add(this.#withFreeKey(found.record), derived);
    if (found.kind !== 'tombstone' || found.tombstone.kind === 'failed') return;
    const { deleteTime } = found.tombstone;
    this.#addTombstone({ record: record ?? recordOfDeleted(found.tombstone), deleteTime, unlinkPending: false });
  }

  /** Removes the row of an image, live or deleted, and returns its record. */
  #drop(filename: string, derived: Derived): ImageRecord | undefined {
    const row = this.#db.get(`SELECT seq, delete_time, ${RECORD_COLUMNS} FROM images WHERE filename = ?`, filename);
    if (row === undefined) return undefined;
    const record = toRecord(row);
    if (row.delete_time === null) derived.remove(row.seq as number, record);
    dropRevision(this.#db, row.seq as number);
    this.#db.run('DELETE FROM images WHERE seq = ?', row.seq!);
    return record;
  }

  clearPendingUnlinks(filenames: readonly string[]): void {
    this.#db.transactionInPlace(() => {
      for (const filename of filenames)
        this.#db.run('UPDATE images SET unlink_pending = 0 WHERE filename = ?', filename);
    });
  }

  *purgeTombstones(deletedBefore: number): Generator<void, number> {
    const sql = `
      DELETE FROM images WHERE seq IN (
        SELECT seq FROM images INDEXED BY images_deleted
        WHERE delete_time < ? AND delete_time IS NOT NULL AND unlink_pending = 0 LIMIT ${PURGED_AT_ONCE})`;
    for (let purged = 0; ; ) {
      const { changes } = this.#db.transactionInPlace(() => this.#db.run(sql, deletedBefore));
      purged += changes;
      if (changes < PURGED_AT_ONCE) return purged;
      this.#limitWal();
      yield;
    }
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
    this.#limitWal();
    return loaded;
  }

  #loadOne(record: ImageRecord, derived: Derived): boolean {
    if (this.#isTaken(record.filename)) return takeNewer(this.#db, record, derived);
    this.#add(this.#withFreeKey(record), derived);
    return true;
  }

  loadStaged(records: readonly ImageRecord[]): number {
    const added = this.#db.transaction(() => {
      const derived = new Derived(this.#db);
      // Before any is added: of two with one key the later may be the one that was committed.
      const wanted = records.filter((record) => !this.#isTaken(record.filename) && !this.#isLiveKey(record));
      for (const record of records) takeNewer(this.#db, record, derived);
      for (const record of wanted) this.#add(this.#withFreeKey(record), derived);
      derived.write();
      return wanted.length;
    });
    this.#limitWal();
    return added;
  }

  #isLiveKey({ idempotencyKey }: ImageRecord): boolean {
    const sql = `
      SELECT 1 FROM images WHERE idempotency_key = ? AND idempotency_key <> '' AND delete_time IS NULL`;
    return this.#db.value(sql, idempotencyKey) === 1;
  }

  /** Adds deleted images by the same rules. */
  loadTombstones(tombstones: readonly Tombstone[]): void {
    this.#db.transaction(() => {
      for (const tombstone of tombstones) if (!this.#isTaken(tombstone.record.filename)) this.#addTombstone(tombstone);
    });
    this.#limitWal();
  }

  loadDeletes(tombstones: readonly Tombstone[]): number {
    const deleted = this.#db.transaction(() => {
      const derived = new Derived(this.#db);
      const live = tombstones.filter((tombstone) => this.#replaceLive(tombstone, derived));
      derived.write();
      return live.length;
    });
    this.loadTombstones(tombstones);
    return deleted;
  }

  /** Replaces the row of a live image with the tombstone. Returns false when there is none. */
  #replaceLive(tombstone: Tombstone, derived: Derived): boolean {
    const { filename, idempotencyKey } = tombstone.record;
    const isLive = this.#db.value('SELECT 1 FROM images WHERE filename = ? AND delete_time IS NULL', filename) === 1;
    if (!isLive) return false;
    const record = { ...this.#drop(filename, derived)!, idempotencyKey };
    this.#addTombstone({ ...tombstone, record });
    return true;
  }

  forgetDeletes(broughtBack: readonly { filename: string; time: number }[]): number {
    const sql = 'DELETE FROM images WHERE filename = ? AND delete_time < ?';
    return this.#db.transaction(() =>
      broughtBack.reduce((count, { filename, time }) => count + this.#db.run(sql, filename, time).changes, 0),
    );
  }

  #addTombstone({ record, deleteTime, unlinkPending }: Tombstone): void {
    const row = { ...toRow(this.#withFreeKey(record)), deleteTime, unlinkPending: Number(unlinkPending) };
    this.#db.runNamed(INSERT_IMAGE, row);
  }

  #withFreeKey(record: ImageRecord): ImageRecord {
    return this.#withKey(record.idempotencyKey) === undefined ? record : { ...record, idempotencyKey: '' };
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
    this.#limitWal();
    return more;
  }

  /** Counts the labels of some of the images whose labels are not counted. Returns whether there may be more. */
  countOlder(): boolean {
    const more = this.#db.transactionInPlace(() => countOlder(this.#db));
    this.#limitWal();
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

  /**
   * Replaces SQLite's own checkpoints, which cannot reset the WAL under steady readers and do not report a failed sync.
   * Never waits for a read: a large WAL is emptied between two slices.
   */
  #limitWal(): void {
    const bytes = this.#walBytes();
    if (bytes < this.#checkpointedBytes + CHECKPOINT_BYTES) return;
    this.#checkpoint('PASSIVE');
    if (bytes > MAX_WAL_BYTES) this.#gate.withoutReads(() => this.#emptyWal());
  }

  #emptyWal(): void {
    if (!this.#db.isOpen || this.#walBytes() === 0) return;
    this.#db.withoutWaiting(() => this.#checkpoint('TRUNCATE'));
  }

  #checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): void {
    try {
      if (checkpoint(this.#db, mode)) noteCheckpoint(this.#db);
      this.#checkpointedBytes = this.#walBytes();
    } catch (error) {
      // The commit before is safe. A lack of space is retried later; after any other failure no sync may be trusted.
      if (!isPassing(error)) this.#db.doubt(error);
    }
  }

  #walBytes(): number {
    return statSync(`${this.#file.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }
}

/** Keeps only the fields that the answer to a repeated save needs. */
function recordOfDeleted({
  filename,
  idempotencyKey,
  fingerprint,
  createTime,
  timestamp,
  pinned,
}: RecordTombstone): ImageRecord {
  const blank = {
    size: 0,
    sha256: '',
    contentType: '',
    width: 0,
    height: 0,
    prompt: '',
    model: '',
    category: '',
    tags: [],
    parametersJson: '',
  };
  return { ...blank, filename, key: imageKey(filename), idempotencyKey, fingerprint, createTime, timestamp, pinned };
}
