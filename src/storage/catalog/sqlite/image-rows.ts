/** The row of an image through its life: live, in the trash, live again, a tombstone; with what other tables keep of it. */
import { revisionOf } from '../../domain/changes.ts';
import type { ImageRecord, StoredRecord, TrashedRecord, TrashTimes } from '../../domain/record.ts';
import type { EarlierSave, Tombstone } from '../catalog.ts';
import type { SearchedText } from '../searched-text.ts';
import type { Connection } from './connection.ts';
import { forgetDeleted, noteDeleted } from './deleted-bytes.ts';
import type { Derived } from './derived.ts';
import { IN_TRASH } from './migrations/007-trash.ts';
import {
  EXPIRE_TIME,
  INSERT_IMAGE,
  RECORD_COLUMNS,
  REVISION,
  type Row,
  THUMB_HASH,
  toRecord,
  toValues,
} from './rows.ts';

const ANY = `SELECT seq, delete_time, ${RECORD_COLUMNS}, ${REVISION} AS revision, ${EXPIRE_TIME} AS expireTime,
  ${THUMB_HASH} AS thumbHash FROM images`;

/** Requires an open transaction for every change. */
export class ImageRows {
  readonly #db: Connection;

  constructor(db: Connection) {
    this.#db = db;
  }

  /** Returns the image with this key, whatever its state. */
  withKey(idempotencyKey: string): EarlierSave | undefined {
    if (idempotencyKey === '') return undefined;
    const row = this.#db.get(`${ANY} WHERE idempotency_key = ? AND idempotency_key <> ''`, idempotencyKey);
    return row && { record: toRecord(row), deleted: row.delete_time !== null };
  }

  withFreeKey<R extends ImageRecord>(record: R): R {
    return this.withKey(record.idempotencyKey) === undefined ? record : { ...record, idempotencyKey: '' };
  }

  isTaken(filename: string): boolean {
    return this.#db.value('SELECT 1 FROM images WHERE filename = ?', filename) === 1;
  }

  isInTrash(filename: string): boolean {
    return this.#db.value('SELECT 1 FROM images WHERE filename = ? AND delete_time = ?', filename, IN_TRASH) === 1;
  }

  live(filename: string): { seq: number; record: StoredRecord } | undefined {
    return found(this.#db.get(`${ANY} WHERE filename = ? AND delete_time IS NULL`, filename));
  }

  trashed(filename: string): { seq: number; record: StoredRecord } | undefined {
    return found(this.#db.get(`${ANY} WHERE filename = ? AND delete_time = ?`, filename, IN_TRASH));
  }

  /** Returns whether an image of the trash is purged by then. */
  isDue(seq: number, time: number): boolean {
    return this.#db.value('SELECT 1 FROM trash WHERE seq = ? AND purge_time <= ?', seq, time) === 1;
  }

  /** Adds a live image. `arrival`: when it came, if it was not saved here. */
  add(record: StoredRecord, derived: Derived, arrival?: number, searched?: SearchedText): void {
    const seq = this.#insert(record, null, false);
    this.#note(seq, record);
    if (arrival !== undefined) this.noteArrival(seq, arrival);
    forgetDeleted(this.#db, record.sha256);
    derived.add(seq, record, searched);
  }

  addTombstone({ record, deleteTime, unlinkPending }: Tombstone): void {
    this.#insert(this.withFreeKey(record), deleteTime, unlinkPending);
    noteDeleted(this.#db, record.sha256, deleteTime);
  }

  /** Adds an image to the trash. `unlinkPending`: its files may lie in the live tree. */
  addTrashed({ deleteTime, purgeTime, ...record }: TrashedRecord, derived: Derived, unlinkPending: boolean): void {
    const seq = this.#insert(this.withFreeKey(record), IN_TRASH, unlinkPending);
    this.#noteRevision(seq, record);
    this.#noteThumbHash(seq, record);
    this.#putIntoTrash(seq, record, { deleteTime, purgeTime }, derived);
  }

  /** Makes a tombstone of a live image, or of one in the trash, whose files are to be unlinked. */
  bury(seq: number, record: ImageRecord, deleteTime: number, derived: Derived): void {
    this.#leave(seq, record, derived);
    this.#forget(seq);
    noteDeleted(this.#db, record.sha256, deleteTime);
    this.#db.run('UPDATE images SET delete_time = ?, unlink_pending = 1 WHERE seq = ?', deleteTime, seq);
  }

  /** Puts a live image into the trash; its files are to be moved. */
  trash(seq: number, record: ImageRecord, times: TrashTimes, derived: Derived): void {
    derived.remove(seq, record);
    for (const table of ['expiries', 'arrivals']) this.#db.run(`DELETE FROM ${table} WHERE seq = ?`, seq);
    this.#db.run('UPDATE images SET delete_time = ?, unlink_pending = 1 WHERE seq = ?', IN_TRASH, seq);
    this.#putIntoTrash(seq, record, times, derived);
  }

  /** Makes an image of the trash live. Returns its record. */
  restore(seq: number, record: ImageRecord, time: number, derived: Derived): ImageRecord {
    const { expireTime: _, ...restored } = { ...record, revision: revisionOf(record) + 1 };
    this.#takeFromTrash(seq, record, derived);
    this.#db.run('UPDATE images SET delete_time = NULL, unlink_pending = 0 WHERE seq = ?', seq);
    this.#db.run('INSERT OR REPLACE INTO revisions VALUES (?, ?, 1)', seq, restored.revision);
    this.noteArrival(seq, time);
    forgetDeleted(this.#db, record.sha256);
    derived.add(seq, restored);
    return restored;
  }

  /** Removes the row of an image, whatever its state, and returns its record. */
  drop(filename: string, derived: Derived): StoredRecord | undefined {
    const row = this.#db.get(`${ANY} WHERE filename = ?`, filename);
    if (row === undefined) return undefined;
    const [seq, record] = [row.seq as number, toRecord(row)];
    if (row.delete_time === null || row.delete_time === IN_TRASH) this.#leave(seq, record, derived);
    this.#forget(seq);
    this.#db.run('DELETE FROM images WHERE seq = ?', seq);
    return record;
  }

  /** Moves the purge of an image in the trash to a later time. Returns whether it did. */
  postponePurge(filename: string, purgeTime: number): boolean {
    const sql = `
      UPDATE trash SET purge_time = ? WHERE seq = (SELECT seq FROM images WHERE filename = ?) AND purge_time < ?`;
    return this.#db.run(sql, purgeTime, filename, purgeTime).changes > 0;
  }

  arrival(seq: number): number | undefined {
    return this.#db.value('SELECT time FROM arrivals WHERE seq = ?', seq) as number | undefined;
  }

  /** Has the files of an image in the trash moved there: a restore may have been about to bring them back. */
  moveAgain(filename: string): void {
    this.#db.run('UPDATE images SET unlink_pending = 1 WHERE filename = ? AND delete_time = ?', filename, IN_TRASH);
  }

  noteArrival(seq: number, time: number): void {
    this.#db.run('INSERT OR REPLACE INTO arrivals VALUES (?, ?)', seq, time);
  }

  #insert(record: ImageRecord, deleteTime: number | null, unlinkPending: boolean): number {
    return this.#db.run(INSERT_IMAGE, ...toValues(record), deleteTime, Number(unlinkPending)).lastInsertRowid;
  }

  #note(seq: number, record: StoredRecord): void {
    this.#noteRevision(seq, record);
    this.#noteThumbHash(seq, record);
    if (record.expireTime !== undefined) this.#db.run('INSERT INTO expiries VALUES (?, ?)', seq, record.expireTime);
  }

  /** The record file of a new row is among those of new rows. */
  #noteRevision(seq: number, record: ImageRecord): void {
    const revision = revisionOf(record);
    if (revision > 0) this.#db.run('INSERT INTO revisions VALUES (?, ?, 0)', seq, revision);
  }

  #noteThumbHash(seq: number, { thumbHash }: StoredRecord): void {
    if (thumbHash !== undefined) this.#db.run('INSERT INTO thumb_hashes VALUES (?, ?)', seq, thumbHash);
  }

  #putIntoTrash(seq: number, { filename, size, sha256 }: ImageRecord, times: TrashTimes, derived: Derived): void {
    noteDeleted(this.#db, sha256, times.deleteTime);
    this.#db.run('INSERT INTO trash VALUES (?, ?, ?, ?, ?, 0)', seq, filename, size, times.deleteTime, times.purgeTime);
    derived.addTrash(size);
  }

  #takeFromTrash(seq: number, { size }: ImageRecord, derived: Derived): void {
    this.#db.run('DELETE FROM trash WHERE seq = ?', seq);
    derived.removeTrash(size);
  }

  /** Takes out of what is derived an image that is live or in the trash. */
  #leave(seq: number, record: ImageRecord, derived: Derived): void {
    if (this.#db.value('SELECT 1 FROM trash WHERE seq = ?', seq) === 1) this.#takeFromTrash(seq, record, derived);
    else derived.remove(seq, record);
  }

  #forget(seq: number): void {
    for (const table of ['revisions', 'expiries', 'arrivals', 'thumb_hashes'])
      this.#db.run(`DELETE FROM ${table} WHERE seq = ?`, seq);
  }
}

function found(row: Row | undefined): { seq: number; record: StoredRecord } | undefined {
  return row && { seq: row.seq as number, record: toRecord(row) };
}
