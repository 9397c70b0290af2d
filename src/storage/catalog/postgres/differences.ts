/** What the index has of images and is to have, and the statements that write the difference. */
import { recordKey } from '../../domain/naming.ts';
import type { StoredRecord } from '../../domain/record.ts';
import { settingsOf } from '../generation-settings.ts';
import type { Sums } from '../sums.ts';
import type { Transaction } from './pool.ts';
import { type SliceRow, sliceRowOf, textsOf } from './rows.ts';
import { type Slice, sliceAt, tableOf } from './slices.ts';
import { arrayLiteral, textArray } from './text-array.ts';

export type State = 'live' | 'trashed' | 'deleted' | 'failed' | 'foreign';

export interface Entry {
  key: string;
  etag: string;
  state: State;
  timestamp: number;
  revision: number;
  idempotency_key: string;
  delete_time: number | null;
  sweep_time: number | null;
  /** Of a tombstone, JSON. */
  record: string | null;
}

/** What the index has of a live image, as far as changes depend on it. */
export interface LiveRow {
  timestamp: number;
  filename: string;
  size: number;
  pinned: boolean;
  model: string;
  category: string;
  sha256: string;
  tags: string[];
  loras: string[];
  thumb_hash: string | null;
}

/** What the index has under a filename. */
export interface Known {
  entry?: Entry | undefined;
  live?: LiveRow | undefined;
  trashed?: { size: number; thumb_hash: string | null } | undefined;
  arrival?: number | undefined;
}

/** What it is to have, beside the entry. */
export type Wanted =
  | { kind: 'live'; record: StoredRecord; arrival: number | undefined }
  | { kind: 'trashed'; record: StoredRecord; deleteTime: number; purgeTime: number }
  | undefined;

export interface Image {
  filename: string;
  known: Known;
  /** As it stands after the changes so far. */
  entry: Entry | undefined;
  /** `kept`: what the index has stays. */
  wanted: Wanted | 'kept';
  pinned: boolean | undefined;
  arrival: number | undefined;
  isLive: boolean;
  /** Of the bytes, while they are known. */
  sha256: string | undefined;
  thumbHash: string | undefined;
}

export async function writeEntries(transaction: Transaction, images: readonly Image[]): Promise<void> {
  const changed = images.filter(({ entry, known }) => entry !== known.entry);
  const before = changed.flatMap(({ known }) => known.entry ?? []);
  const gone = changed.filter(({ entry }) => entry === undefined).map(({ filename }) => recordKey(filename));
  if (gone.length > 0) await transaction.rows('DELETE FROM entries WHERE key = ANY($1)', [gone]);
  // Before others take them.
  const keyed = before.filter(({ idempotency_key }) => idempotency_key !== '').map(({ key }) => key);
  if (keyed.length > 0) {
    await transaction.rows("UPDATE entries SET idempotency_key = '' WHERE key = ANY($1)", [keyed]);
  }
  const kept = changed.flatMap(({ entry, known }) => (known.entry !== undefined ? (entry ?? []) : []));
  const added = changed.flatMap(({ entry, known }) => (known.entry === undefined ? (entry ?? []) : []));
  // In its place: whoever waits for the row would not find another one.
  if (kept.length > 0) await transaction.rows(UPDATE_ENTRIES, [JSON.stringify(kept)]);
  if (added.length > 0) await transaction.rows(INSERT_ENTRIES, [JSON.stringify(added)]);
}

const ENTRIES = `
  json_to_recordset($1) AS r(key text, etag text, state text, timestamp bigint, revision int, idempotency_key text,
    delete_time bigint, sweep_time bigint, record text)`;
const INSERT_ENTRIES = `INSERT INTO entries SELECT r.* FROM ${ENTRIES}`;
const UPDATE_ENTRIES = `
  UPDATE entries SET (etag, state, timestamp, revision, idempotency_key, delete_time, sweep_time, record) =
    (r.etag, r.state, r.timestamp, r.revision, r.idempotency_key, r.delete_time, r.sweep_time, r.record)
  FROM ${ENTRIES} WHERE entries.key = r.key`;

/** Removes what the index has, and takes it from the sums. */
export async function removeRows(
  transaction: Transaction,
  images: readonly Image[],
  slices: readonly Slice[],
  sums: Sums,
): Promise<void> {
  const live = images.flatMap(({ known }) => known.live ?? []);
  for (const [slice, rows] of bySlice(live, slices)) {
    const sql = `
      DELETE FROM ${tableOf(slice)}
      WHERE (timestamp, filename) IN (SELECT * FROM unnest($1::bigint[], $2::text[]))`;
    await transaction.rows(sql, [rows.map(({ timestamp }) => timestamp), rows.map(({ filename }) => filename)]);
    for (const row of rows) {
      sums.remove(row);
      sums.removeLabels(row);
      sums.to('slice', `${slice.number}`, -1, row.size);
    }
  }
  const names = live.map(({ filename }) => filename);
  if (names.length > 0) {
    await transaction.rows('DELETE FROM expiries WHERE filename = ANY($1)', [names]);
    await transaction.rows('DELETE FROM arrivals WHERE filename = ANY($1)', [names]);
  }
  const trashed = images.filter(({ known }) => known.trashed !== undefined);
  if (trashed.length === 0) return;
  await transaction.rows('DELETE FROM trash WHERE filename = ANY($1)', [trashed.map(({ filename }) => filename)]);
  for (const { known } of trashed) sums.to('trash', '', -1, known.trashed!.size);
}

const COLUMN_TYPES = {
  ...{ timestamp: 'bigint', size: 'bigint', create_time: 'bigint', text_bytes: 'int', pinned: 'boolean' },
  ...{ is_cut: 'boolean', filename: 'text', model_slug: 'text', model: 'text', category: 'text', sha256: 'text' },
  ...{ steps: 'text', cfg: 'text', pixels: 'text', tags: 'text[]', loras: 'text[]', thumb_hash: 'text' },
  ...{ words: 'tsvector', head: 'text', prompt: 'text', generation: 'text', parameters: 'text' },
} as const satisfies Record<keyof SliceRow, string>;
const COLUMNS = Object.keys(COLUMN_TYPES) as (keyof SliceRow)[];

function columnsOf(rows: readonly SliceRow[]): Buffer[] {
  return COLUMNS.map((name) => textArray(rows.map((row) => textOf(row[name]))));
}

function textOf(value: SliceRow[keyof SliceRow]): string | null {
  if (value === null || typeof value === 'string') return value;
  return Array.isArray(value) ? arrayLiteral(value) : `${value}`;
}

/** Rows of a slice, and the same by column. */
interface SliceRows {
  slice: Slice;
  rows: SliceRow[];
  columns: Buffer[];
}

/** What is added, ready to be sent. */
export interface Added {
  live: (Wanted & { kind: 'live' })[];
  ofSlices: SliceRows[];
  trashed: (Wanted & { kind: 'trashed' })[];
}

/** Returns what the index is to have besides what it has. */
export function addedOf(images: readonly Image[], slices: readonly Slice[]): Added {
  const wanted = images.flatMap((image) => (image.wanted === 'kept' ? [] : (image.wanted ?? [])));
  const live = wanted.filter((each) => each.kind === 'live');
  const rows = live.map(({ record }) => sliceRowOf(record, settingsOf(record)));
  const ofSlices = [...bySlice(rows, slices)].map(([slice, its]) => ({ slice, rows: its, columns: columnsOf(its) }));
  return { live, ofSlices, trashed: wanted.filter((each) => each.kind === 'trashed') };
}

/** Adds it. `change`: the number of this change. */
export async function addRows(
  transaction: Transaction,
  { live, ofSlices, trashed }: Added,
  { sums, change }: { sums: Sums; change: number },
): Promise<void> {
  for (const { slice, rows, columns } of ofSlices) {
    const sql = `
      INSERT INTO ${tableOf(slice)} (change, ${COLUMNS.join(', ')})
      SELECT $1::bigint, ${COLUMNS.map((name) => `r.${name}::${COLUMN_TYPES[name]}`).join(', ')}
      FROM unnest(${COLUMNS.map((_, place) => `$${place + 2}::text[]`).join(', ')}) AS r(${COLUMNS.join(', ')})`;
    await transaction.rows(sql, [change, ...columns]);
    for (const row of rows) {
      sums.add(row);
      sums.addLabels(row);
      sums.to('slice', `${slice.number}`, 1, row.size);
    }
  }
  await addTimes(transaction, live);
  if (trashed.length === 0) return;
  const inTrash = trashed.map(({ record, deleteTime, purgeTime }) => ({
    ...textsOf(record, settingsOf(record)),
    filename: record.filename,
    size: record.size,
    delete_time: deleteTime,
    purge_time: purgeTime,
    thumb_hash: record.thumbHash ?? null,
  }));
  const sql = `
    INSERT INTO trash SELECT r.* FROM json_to_recordset($1) AS r(filename text, size bigint, delete_time bigint,
      purge_time bigint, text_bytes int, thumb_hash text, head text, prompt text, generation text, parameters text)`;
  await transaction.rows(sql, [JSON.stringify(inTrash)]);
  for (const { size } of inTrash) sums.to('trash', '', 1, size);
}

async function addTimes(
  transaction: Transaction,
  live: readonly { record: StoredRecord; arrival: number | undefined }[],
): Promise<void> {
  const expiries = live.filter(({ record }) => record.expireTime !== undefined).map(({ record }) => record);
  if (expiries.length > 0) {
    const values = expiries.map(({ filename, expireTime, pinned }) => ({ filename, expire_time: expireTime, pinned }));
    const sql =
      'INSERT INTO expiries SELECT r.* FROM json_to_recordset($1) AS r(filename text, expire_time bigint, pinned boolean)';
    await transaction.rows(sql, [JSON.stringify(values)]);
  }
  const arrivals = live.flatMap(({ record: { filename }, arrival }) =>
    arrival === undefined ? [] : { filename, time: arrival },
  );
  if (arrivals.length === 0) return;
  const sql = 'INSERT INTO arrivals SELECT r.* FROM json_to_recordset($1) AS r(filename text, time bigint)';
  await transaction.rows(sql, [JSON.stringify(arrivals)]);
}

function bySlice<T extends { timestamp: number }>(rows: readonly T[], slices: readonly Slice[]): Map<Slice, T[]> {
  return Map.groupBy(rows, ({ timestamp }) => sliceAt(slices, timestamp)!);
}
