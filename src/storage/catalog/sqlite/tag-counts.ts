/** Counts images by their tags in the rollups; those of an older catalog behind the calls that it serves. */
import type { ImageRecord } from '../../domain/record.ts';
import type { Connection } from './connection.ts';
import { COUNTED_FROM } from './migrations/005-tag-counts.ts';
import { Rollups } from './rollups.ts';

/** What one call of `countOlder` reads: a few ms of work. */
const COUNTED_AT_ONCE = 500;

type Counted = Pick<ImageRecord, 'timestamp' | 'filename'>;

/** Returns whether the rollups have the tags of all images. */
export function isTagCountComplete(db: Connection): boolean {
  return countedFrom(db) === undefined;
}

/** Returns whether the rollups have the tags of this image, or are to have them once it is saved. */
export function areTagsCounted(db: Connection, { timestamp, filename }: Counted): boolean {
  const from = countedFrom(db);
  if (from === undefined || timestamp > from.timestamp) return true;
  return timestamp === from.timestamp && filename >= from.filename;
}

/** Counts the tags of the newest images that are not counted yet. Returns whether there may be more. */
export function countOlder(db: Connection): boolean {
  const from = countedFrom(db);
  if (from === undefined) return false;
  const sql = `
    SELECT timestamp, filename, size, tags FROM images INDEXED BY images_time
    WHERE delete_time IS NULL AND (timestamp, filename) < (?, ?)
    ORDER BY timestamp DESC, filename DESC LIMIT ${COUNTED_AT_ONCE}`;
  const rows = db.all(sql, from.timestamp, from.filename);
  const rollups = new Rollups();
  for (const { tags, size } of rows) rollups.addTags({ tags: JSON.parse(tags as string), size: size as number });
  rollups.write(db);
  const last = rows.at(-1);
  if (rows.length < COUNTED_AT_ONCE) db.run('DELETE FROM store WHERE name = ?', COUNTED_FROM);
  else
    db.run(
      'UPDATE store SET value = ? WHERE name = ?',
      JSON.stringify([last!.timestamp, last!.filename]),
      COUNTED_FROM,
    );
  return rows.length === COUNTED_AT_ONCE;
}

/** Returns the position of the oldest image that is counted; undefined where all are. */
function countedFrom(db: Connection): Counted | undefined {
  const value = db.value('SELECT value FROM store WHERE name = ?', COUNTED_FROM);
  if (value === undefined) return undefined;
  const [timestamp, filename] = JSON.parse(value as string);
  return { timestamp, filename };
}
