/** Makes catalogs as older versions wrote them: without a text index in the order of time, or without settings. */
import { DatabaseSync } from 'node:sqlite';
import { searchText } from '../../src/storage/catalog/search-text.ts';
import { INITIAL } from '../../src/storage/catalog/sqlite/migrations/001-initial.ts';
import { BUCKETS } from '../../src/storage/catalog/sqlite/migrations/002-buckets.ts';
import { TIMELINE } from '../../src/storage/catalog/sqlite/migrations/003-timeline.ts';
import { INSERT_IMAGE, toValues } from '../../src/storage/catalog/sqlite/rows.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';
import { STORE_ID, T0 } from './catalogs.ts';

export type OlderVersion = 2 | 3;

/** Closed clean. The last of the records are of deleted images. */
export function createOlder(
  path: string,
  records: readonly ImageRecord[],
  deleted = 0,
  version: OlderVersion = 2,
): void {
  createVersion2(path, records, deleted);
  if (version === 3) toVersion3(path);
}

/** Its text index is complete. */
function toVersion3(path: string): void {
  const db = new DatabaseSync(path);
  db.exec(`BEGIN; ${TIMELINE}; PRAGMA user_version = 3; DELETE FROM store WHERE name = 'indexed_from'`);
  const images = db.prepare('SELECT seq, timestamp, prompt FROM images WHERE delete_time IS NULL').all();
  const [index, place] = [
    db.prepare('INSERT INTO prompts (rowid, text) VALUES ((? << 15) | ?, ?)'),
    db.prepare('INSERT INTO timeline (place, seq) VALUES ((? << 15) | ?, ?)'),
  ];
  for (const { seq, timestamp, prompt } of images as { seq: number; timestamp: number; prompt: string }[]) {
    index.run(timestamp, seq % 2 ** 15, `${searchText(prompt)} ·m0123456789abcdef`);
    place.run(timestamp, seq % 2 ** 15, seq);
  }
  db.exec('COMMIT');
  db.close();
}

function createVersion2(path: string, records: readonly ImageRecord[], deleted: number): void {
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode = WAL; BEGIN; ${INITIAL}; ${BUCKETS}; PRAGMA user_version = 2`);
  const setValue = db.prepare('INSERT INTO store (name, value) VALUES (?, ?)');
  for (const [name, value] of Object.entries({ store_id: STORE_ID, records_synced: 0, clean: 1, generation: 3 })) {
    setValue.run(name, value);
  }
  const [insert, index, tag] = [
    db.prepare(INSERT_IMAGE),
    db.prepare('INSERT INTO prompts (rowid, text) VALUES (?, ?)'),
    db.prepare('INSERT INTO image_tags (tag, seq) VALUES (?, ?)'),
  ];
  for (const [at, record] of records.entries()) {
    const isLive = at < records.length - deleted;
    const { lastInsertRowid: seq } = insert.run(...toValues(record), isLive ? null : T0, 0);
    if (!isLive) continue;
    index.run(seq, searchText(record.prompt));
    for (const value of record.tags) tag.run(value, seq);
  }
  const live = records.slice(0, records.length - deleted);
  const bytes = live.reduce((sum, { size }) => sum + size, 0);
  db.prepare("INSERT INTO rollups (kind, name, count, bytes) VALUES ('total', '', ?, ?)").run(live.length, bytes);
  db.exec('COMMIT');
  db.close();
}
