/** The bytes that were deleted within a year, so that an import does not bring them back. */
import { DELETED_DIGITS, DELETED_KEPT_MS, deletedDigits } from '../deleted-bytes.ts';
import type { Connection } from './connection.ts';
import { IN_TRASH } from './migrations/007-trash.ts';

/** No step of a version: what older ones do not write is missing here, and costs no more than that. */
const TABLE = `
  CREATE TABLE deleted_bytes (sha256 TEXT PRIMARY KEY, delete_time INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX deleted_bytes_old ON deleted_bytes (delete_time);
`;
/** Of those that are in the trash, whose time is elsewhere, the time does not matter yet. */
const OF_TOMBSTONES = `
  INSERT OR IGNORE INTO deleted_bytes
  SELECT substr(sha256, 1, ${DELETED_DIGITS}), iif(delete_time = ${IN_TRASH}, ?, delete_time) FROM images
  WHERE delete_time IS NOT NULL AND sha256 <> ''`;

/** Makes the table where a catalog has none, from the deletes that it still knows. Requires an open transaction. */
export function addDeletedBytes(db: Connection, now: number): void {
  if (db.value("SELECT 1 FROM sqlite_master WHERE name = 'deleted_bytes'") === 1) return;
  db.exec(TABLE);
  db.run(OF_TOMBSTONES, now);
}

export function noteDeleted(db: Connection, sha256: string, deleteTime: number): void {
  if (sha256 === '') return;
  const sql = `
    INSERT INTO deleted_bytes VALUES (?, ?)
    ON CONFLICT DO UPDATE SET delete_time = max(delete_time, excluded.delete_time)`;
  db.run(sql, deletedDigits(sha256), deleteTime);
}

/** They are there again: what was deleted before was taken back. */
export function forgetDeleted(db: Connection, sha256: string): void {
  db.run('DELETE FROM deleted_bytes WHERE sha256 = ?', deletedDigits(sha256));
}

/** Returns whether the last that happened to these bytes was a delete. An equal image may live. */
export function wasDeleted(db: Connection, sha256: string): boolean {
  return db.value('SELECT 1 FROM deleted_bytes WHERE sha256 = ?', deletedDigits(sha256)) === 1;
}

export function dropOldDeleted(db: Connection, before: number): void {
  db.run('DELETE FROM deleted_bytes WHERE delete_time < ?', before - DELETED_KEPT_MS);
}
