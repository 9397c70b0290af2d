/** Updates images in the catalog, and keeps which of their record files are yet to be written. */
import { type CheckedChanges, revisionOf, withChanges } from '../../domain/changes.ts';
import { isSameSave } from '../../domain/fingerprint.ts';
import type { ImageRecord } from '../../domain/record.ts';
import type { ChangeOutcome, UpdatedRecord } from '../catalog.ts';
import type { Connection } from './connection.ts';
import type { Derived } from './derived.ts';
import { RECORD_COLUMNS, REVISION, toRecord } from './rows.ts';

const LIVE = `SELECT seq, ${RECORD_COLUMNS}, ${REVISION} AS revision FROM images WHERE filename = ? AND delete_time IS NULL`;

/** Changes the row of an image and what is derived from it. */
export function updateRow(
  db: Connection,
  { filename, changes, above }: { filename: string; changes: CheckedChanges; above: number },
  derived: Derived,
): ChangeOutcome {
  const row = db.get(LIVE, filename);
  if (row === undefined) return { done: false, why: 'not_found' };
  const record = toRecord(row);
  const changed = withChanges(record, changes, above);
  if (changed === undefined) return { done: false, why: 'too_many_tags' };
  if (changed !== record) relabel(db, row.seq as number, record, changed, derived);
  return { done: true, record: changed };
}

/** Takes the labels of a record with a higher revision than the live row of the same save. Returns whether it did. */
export function takeNewer(db: Connection, record: ImageRecord, derived: Derived): boolean {
  if (revisionOf(record) === 0) return false;
  const row = db.get(LIVE, record.filename);
  if (row === undefined) return false;
  const known = toRecord(row);
  if (!isSameSave(known, record) || revisionOf(record) <= revisionOf(known)) return false;
  const { pinned, category, tags, revision } = record;
  relabel(db, row.seq as number, known, { ...known, pinned, category, tags, revision: revision! }, derived);
  return true;
}

function relabel(db: Connection, seq: number, before: ImageRecord, after: ImageRecord, derived: Derived): void {
  const { pinned, category, tags } = after;
  const sql = 'UPDATE images SET pinned = ?, category = ?, tags = ? WHERE seq = ?';
  db.run(sql, Number(pinned), category, JSON.stringify(tags), seq);
  db.run('INSERT OR REPLACE INTO revisions (seq, revision, record_pending) VALUES (?, ?, 1)', seq, revisionOf(after));
  derived.update(seq, before, after);
}

/** Notes the revision of a new row, whose record file is among those of new rows. */
export function noteRevision(db: Connection, seq: number | bigint, record: ImageRecord): void {
  const revision = revisionOf(record);
  if (revision === 0) return;
  db.run('INSERT INTO revisions (seq, revision, record_pending) VALUES (?, ?, 0)', seq, revision);
}

export function dropRevision(db: Connection, seq: number): void {
  db.run('DELETE FROM revisions WHERE seq = ?', seq);
}

/** Returns the revision of a live image; undefined where there is none. */
export function knownRevision(db: Connection, filename: string): number | undefined {
  const sql = `SELECT ifnull(${REVISION}, 0) FROM images WHERE filename = ? AND delete_time IS NULL`;
  return db.value(sql, filename) as number | undefined;
}

export function updatedRecords(db: Connection, limit: number): UpdatedRecord[] {
  const sql = `
    SELECT filename, revision FROM revisions INDEXED BY revisions_pending JOIN images USING (seq)
    WHERE record_pending = 1 LIMIT ?`;
  return db.all(sql, limit) as unknown as UpdatedRecord[];
}

/** Requires an open transaction. */
export function setUpdatedSynced(db: Connection, updated: readonly UpdatedRecord[]): void {
  const sql = `
    UPDATE revisions SET record_pending = 0
    WHERE seq = (SELECT seq FROM images WHERE filename = ?) AND revision = ?`;
  for (const { filename, revision } of updated) db.run(sql, filename, revision);
}
