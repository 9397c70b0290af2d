/** Reads of the trash, of images whose time is over, and of those that came lately, over one connection. */
import type { TrashedRecord } from '../../domain/record.ts';
import type { DueTrash, Expired, PageRequest, TrashPage } from '../catalog.ts';
import { testOf } from '../search-match.ts';
import { isEverything, isNothing, parseQuery } from '../search-query.ts';
import type { Connection } from './connection.ts';
import { IN_TRASH } from './migrations/007-trash.ts';
import { Slice } from './pause.ts';
import { EXPIRE_TIME, RECORD_COLUMNS, REVISION, type Row, THUMB_HASH, toStoredRecord } from './rows.ts';
import { StoredImage } from './stored-image.ts';

const BATCH = 100;
const ROW_OVERHEAD_BYTES = 1024;
const TRASHED = `
  SELECT ${RECORD_COLUMNS}, NULL AS generation, ${REVISION} AS revision, ${EXPIRE_TIME} AS expireTime,
    ${THUMB_HASH} AS thumbHash,
    (SELECT trash.delete_time FROM trash WHERE trash.seq = images.seq) AS deleteTime,
    (SELECT purge_time FROM trash WHERE trash.seq = images.seq) AS purgeTime
  FROM images WHERE delete_time = ${IN_TRASH}`;
/** After every delete. */
const NEWEST = { timestamp: Number.MAX_SAFE_INTEGER, filename: '' };

type Start = NonNullable<PageRequest['after']>;

export class Trash {
  readonly #db: Connection;

  constructor(db: Connection) {
    this.#db = db;
  }

  find(filename: string): TrashedRecord | undefined {
    const row = this.#db.get(`${TRASHED} AND filename = ?`, filename);
    return row && toTrashedRecord(row);
  }

  *page(query: string, { after, limit, maxBytes }: PageRequest): Generator<void, TrashPage> {
    const records: TrashedRecord[] = [];
    let bytes = 0;
    for (const hit of this.#hits(query, after)) {
      if (hit === undefined) {
        yield;
        continue;
      }
      if (records.length === limit) return { records, more: true };
      bytes += textBytesOf(hit) + ROW_OVERHEAD_BYTES;
      if (records.length > 0 && bytes > maxBytes) return { records, more: true };
      records.push(hit);
    }
    return { records, more: false };
  }

  /** Yields the images that match, the last deleted first, and undefined between two slices. */
  *#hits(query: string, after: Start = NEWEST): Generator<TrashedRecord | undefined, void> {
    const condition = parseQuery(query);
    if (isNothing(condition)) return;
    const test = isEverything(condition) ? undefined : testOf(condition);
    let slice = new Slice();
    for (let rows = this.#after(after); rows.length > 0; rows = this.#after(startOf(rows.at(-1)!))) {
      for (const { seq } of rows) {
        if (test !== undefined && !test(new StoredImage(this.#db, seq as number))) continue;
        // It may have left the trash between two slices.
        const row = this.#db.get(`${TRASHED} AND seq = ?`, seq!);
        if (row !== undefined) yield toTrashedRecord(row);
      }
      if (!slice.isOver) continue;
      yield undefined;
      slice = new Slice();
    }
  }

  #after({ timestamp, filename, inclusive = false }: Start): Row[] {
    const sql = `
      SELECT seq, delete_time, filename FROM trash INDEXED BY trash_listed
      WHERE (delete_time, filename) ${inclusive ? '<=' : '<'} (?, ?)
      ORDER BY delete_time DESC, filename DESC LIMIT ${BATCH}`;
    return this.#db.all(sql, timestamp, filename);
  }

  due(limit: number, until: number = Number.MAX_SAFE_INTEGER): DueTrash[] {
    const sql = `
      SELECT filename, size, purge_time AS purgeTime FROM trash INDEXED BY trash_due
      WHERE purge_time <= ? ORDER BY purge_time LIMIT ?`;
    return this.#db.all(sql, until, limit) as unknown as DueTrash[];
  }

  expired(limit: number, until: number): Expired[] {
    const sql = `
      SELECT filename, expire_time AS expireTime FROM expiries INDEXED BY expiries_due CROSS JOIN images USING (seq)
      WHERE expire_time <= ? AND pinned = 0 ORDER BY expire_time LIMIT ?`;
    return this.#db.all(sql, until, limit) as unknown as Expired[];
  }

  arrivedSince(filenames: readonly string[], time: number): string[] {
    const sql = `
      SELECT create_time > ?2 OR EXISTS (SELECT 1 FROM arrivals WHERE arrivals.seq = images.seq AND time > ?2)
      FROM images WHERE filename = ?1 AND delete_time IS NULL`;
    return filenames.filter((filename) => this.#db.value(sql, filename, time) === 1);
  }
}

function startOf(row: Row): Start {
  return { timestamp: row.delete_time as number, filename: row.filename as string };
}

function toTrashedRecord(row: Row): TrashedRecord {
  const { deleteTime, purgeTime } = row as { deleteTime: number; purgeTime: number };
  return { ...toStoredRecord(row), deleteTime, purgeTime };
}

function textBytesOf({ prompt, model, category, parametersJson, tags }: TrashedRecord): number {
  return [prompt, model, category, parametersJson, ...tags].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}
