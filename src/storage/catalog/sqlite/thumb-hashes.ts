/** The ThumbHashes of images: notes them, and finds the images that have none yet. */
import type { ThumbHash, UnhashedImage, UnhashedPage } from '../catalog.ts';
import type { Connection } from './connection.ts';
import { IN_TRASH } from './migrations/007-trash.ts';

/** Rows that are looked at in one call: other reads wait for it. */
const LOOKED_AT = 1000;

/** Requires an open transaction. One that was made stays: another may be of a preview. */
export function setThumbHashes(db: Connection, hashes: readonly ThumbHash[]): void {
  const sql = `
    INSERT INTO thumb_hashes (seq, thumb_hash)
    SELECT seq, ? FROM images WHERE filename = ? AND (delete_time IS NULL OR delete_time = ${IN_TRASH})
    ON CONFLICT DO UPDATE SET thumb_hash = excluded.thumb_hash WHERE thumb_hashes.thumb_hash = ''`;
  for (const { filename, thumbHash } of hashes) db.run(sql, thumbHash, filename);
}

/** Walks by the order in which images came: whatever comes meanwhile is behind. */
export function unhashed(db: Connection, before: number, limit: number): UnhashedPage {
  const last = db.value('SELECT max(seq) FROM images WHERE seq < ?', before) as number | null;
  if (last === null) return { images: [], before: 0 };
  const sql = `
    SELECT seq, filename, sha256, size, content_type AS contentType, width, height FROM images
    WHERE seq <= ? AND seq > ? AND delete_time IS NULL
      AND NOT EXISTS (SELECT 1 FROM thumb_hashes WHERE thumb_hashes.seq = images.seq)
    ORDER BY seq DESC LIMIT ?`;
  const first = Math.max(0, last - LOOKED_AT);
  const rows = db.all(sql, last, first, limit) as unknown as (UnhashedImage & { seq: number })[];
  const next = rows.length === limit ? rows.at(-1)!.seq : first + 1;
  return { images: rows.map(({ seq: _, ...image }) => image), before: next };
}
