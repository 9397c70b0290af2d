/** Updates images in the catalog, and keeps which of their record files are yet to be written. */
import { revisionOf, withChanges } from '../../domain/changes.ts';
import { isSameSave } from '../../domain/fingerprint.ts';
import type { ImageRecord } from '../../domain/record.ts';
import type { Change, ChangeOutcome, UpdatedRecord } from '../catalog.ts';
import type { Connection } from './connection.ts';
import type { Derived } from './derived.ts';
import type { ImageRows } from './image-rows.ts';
import { IN_TRASH } from './migrations/007-trash.ts';
import { REVISION } from './rows.ts';

interface Labelling {
  db: Connection;
  rows: ImageRows;
}

/** Changes the row of an image and what is derived from it. */
export function updateRow(
  { db, rows }: Labelling,
  { filename, changes, above, time }: Change & { kind: 'update' },
  derived: Derived,
): ChangeOutcome {
  const row = rows.live(filename);
  if (row === undefined) return { done: false, why: 'not_found' };
  const { seq, record } = row;
  const changed = withChanges(record, changes, above);
  if (changed === undefined) return { done: false, why: 'too_many_tags' };
  if (changed !== record) relabel(db, seq, record, changed, derived);
  if (record.pinned && !changed.pinned) rows.noteArrival(seq, time);
  return { done: true, record: changed };
}

/** Takes the labels of a record with a higher revision than the live row of the same save. Returns whether it did. */
export function takeNewer({ db, rows }: Labelling, record: ImageRecord, derived: Derived): boolean {
  if (revisionOf(record) === 0) return false;
  const row = rows.live(record.filename);
  if (row === undefined || !isNewer(record, row.record)) return false;
  relabel(db, row.seq, row.record, withLabelsOf(row.record, record), derived);
  return true;
}

/** Does the same with a row in the trash, of which nothing is derived. */
export function takeNewerTrashed({ db, rows }: Labelling, record: ImageRecord): boolean {
  const row = rows.trashed(record.filename);
  if (row === undefined || !isNewer(record, row.record)) return false;
  setLabels(db, row.seq, withLabelsOf(row.record, record));
  return true;
}

function isNewer(record: ImageRecord, known: ImageRecord): boolean {
  return isSameSave(known, record) && revisionOf(record) > revisionOf(known);
}

function withLabelsOf(known: ImageRecord, { pinned, category, tags, revision }: ImageRecord): ImageRecord {
  return { ...known, pinned, category, tags, revision: revision! };
}

function relabel(db: Connection, seq: number, before: ImageRecord, after: ImageRecord, derived: Derived): void {
  setLabels(db, seq, after);
  derived.update(seq, before, after);
}

function setLabels(db: Connection, seq: number, after: ImageRecord): void {
  const { pinned, category, tags } = after;
  const sql = 'UPDATE images SET pinned = ?, category = ?, tags = ? WHERE seq = ?';
  db.run(sql, Number(pinned), category, JSON.stringify(tags), seq);
  db.run('INSERT OR REPLACE INTO revisions (seq, revision, record_pending) VALUES (?, ?, 1)', seq, revisionOf(after));
}

/** Returns twice the revision of a live image, and one more for an image in the trash; undefined where there is neither. */
export function knownStep(db: Connection, filename: string): number | undefined {
  const sql = `
    SELECT 2 * ifnull(${REVISION}, 0) + (delete_time IS NOT NULL) FROM images
    WHERE filename = ? AND (delete_time IS NULL OR delete_time = ${IN_TRASH})`;
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
