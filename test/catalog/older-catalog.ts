/** Makes a catalog as versions without a text index in the order of time wrote it. */
import { DatabaseSync } from 'node:sqlite';
import { searchText } from '../../src/storage/catalog/search-text.ts';
import { INITIAL } from '../../src/storage/catalog/sqlite/migrations/001-initial.ts';
import { BUCKETS } from '../../src/storage/catalog/sqlite/migrations/002-buckets.ts';
import { INSERT_IMAGE, toRow } from '../../src/storage/catalog/sqlite/rows.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';
import { STORE_ID, T0 } from './catalogs.ts';

/** Closed clean. The last of the records are of deleted images. */
export function createOlder(path: string, records: readonly ImageRecord[], deleted = 0): void {
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
    const row = { ...toRow(record), deleteTime: isLive ? null : T0, unlinkPending: 0 };
    const { lastInsertRowid: seq } = insert.run(row);
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
