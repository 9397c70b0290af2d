/** Counts images by their tags and LoRAs in the rollups; those of an older catalog behind the calls that it serves. */
import type { ImageRecord } from '../../domain/record.ts';
import type { Settings } from '../generation-settings.ts';
import type { Connection } from './connection.ts';
import { COUNTED_FROM, NONE_COUNTED } from './migrations/005-label-counts.ts';
import { Rollups } from './rollups.ts';
import { StoredImage } from './stored-image.ts';

/** What one call of `countOlder` reads: a few ms of work. */
const COUNTED_AT_ONCE = 500;

export type Position = Pick<ImageRecord, 'timestamp' | 'filename'>;

/** Returns whether the rollups have the labels of all images. */
export function areLabelsComplete(db: Connection): boolean {
  return countedFrom(db) === undefined;
}

/** Returns whether the rollups have the labels of this image, or are to have them once it is saved; `from` is where they begin. */
export function areLabelsCounted(from: Position | undefined, { timestamp, filename }: Position): boolean {
  if (from === undefined || timestamp > from.timestamp) return true;
  return timestamp === from.timestamp && filename >= from.filename;
}

/** Returns the names of the LoRAs of an image that the catalog has, of its settings where they are at hand. */
export function lorasOf(db: Connection, seq: number, settings: Settings = new StoredImage(db, seq).settings): string[] {
  return settings.generation?.loras ?? [];
}

/** Leaves the labels of all images to `countOlder`. Requires an empty catalog. */
export function leaveToCounting(db: Connection): void {
  db.run('INSERT INTO store (name, value) VALUES (?, ?)', COUNTED_FROM, NONE_COUNTED);
}

/**
 * Counts the labels of the newest images whose labels are not counted yet. Returns whether there may be more. Reads
 * parameters where the text index does not have the image.
 */
export function countOlder(db: Connection): boolean {
  const from = countedFrom(db);
  if (from === undefined) return false;
  const sql = `
    SELECT seq, timestamp, filename, size, tags FROM images INDEXED BY images_time
    WHERE delete_time IS NULL AND (timestamp, filename) < (?, ?)
    ORDER BY timestamp DESC, filename DESC LIMIT ${COUNTED_AT_ONCE}`;
  const rows = db.all(sql, from.timestamp, from.filename);
  const rollups = new Rollups();
  for (const { seq, size, tags } of rows) {
    rollups.addLabels({ size: size as number, tags: JSON.parse(tags as string), loras: lorasOf(db, seq as number) });
  }
  rollups.write(db);
  const last = rows.length < COUNTED_AT_ONCE ? undefined : rows.at(-1)!;
  if (last === undefined) db.run('DELETE FROM store WHERE name = ?', COUNTED_FROM);
  else
    db.run('UPDATE store SET value = ? WHERE name = ?', JSON.stringify([last.timestamp, last.filename]), COUNTED_FROM);
  return last !== undefined;
}

/** Returns the position of the oldest image that is counted; undefined where all are. */
export function countedFrom(db: Connection): Position | undefined {
  const value = db.value('SELECT value FROM store WHERE name = ?', COUNTED_FROM);
  if (value === undefined) return undefined;
  const [timestamp, filename] = JSON.parse(value as string);
  return { timestamp, filename };
}
