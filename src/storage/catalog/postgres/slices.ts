/** The tables of live images: each has those from one timestamp up to another, and not many more than 100,000. */
import { sliceTable } from './migrations/001-initial.ts';
import type { Pool, Transaction } from './pool.ts';
import { addDeltas } from './sums.ts';

export const MAX_IMAGES = 100_000;
/** Of one step, during which no daemon writes. */
const MOVED_AT_ONCE = 2_000;
const MOVED_BYTES = 16 * 1024 * 1024;

/** `[from, to)`, ms since 1970. */
export interface Slice {
  number: number;
  from: number;
  to: number;
}

export function tableOf({ number }: Pick<Slice, 'number'>): string {
  return `slice_${number}`;
}

/** Returns the name of the index of its words. */
export function textIndexOf(slice: Pick<Slice, 'number'>): string {
  return `${tableOf(slice)}_words`;
}

/**
 * Holds off what moves images between slices until the transaction ends. Writers do not wait for each other here.
 */
export async function lockShared(transaction: Transaction, schema: string): Promise<void> {
  await transaction.rows('SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))', [`${schema} slices`]);
}

/** Waits for the writers, and holds off others until the transaction ends. */
export async function lockAlone(transaction: Transaction, schema: string): Promise<void> {
  await transaction.rows('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`${schema} slices`]);
}

const COLUMNS = 'number, from_time AS "from", to_time AS "to"';

/** Returns the slices with timestamps of the range, in the order of time. */
export function slicesWithin(transaction: Transaction, from: number, to: number): Promise<Slice[]> {
  const sql = `SELECT ${COLUMNS} FROM slices WHERE to_time > $1 AND from_time <= $2 ORDER BY from_time`;
  return transaction.rows<Slice>(sql, [from, to]);
}

/** Returns the slices of these timestamps, each once, and the first timestamp that has none. */
export async function slicesOf(
  transaction: Transaction,
  timestamps: readonly number[],
): Promise<{ slices: Slice[]; missing: number | undefined }> {
  const wanted = [...new Set(timestamps)];
  if (wanted.length === 0) return { slices: [], missing: undefined };
  const sql = `
    SELECT DISTINCT ${COLUMNS} FROM unnest($1::bigint[]) AS wanted JOIN slices ON from_time <= wanted AND to_time > wanted`;
  const slices = await transaction.rows<Slice>(sql, [wanted]);
  return { slices, missing: wanted.find((timestamp) => sliceAt(slices, timestamp) === undefined) };
}

export function sliceAt(slices: readonly Slice[], timestamp: number): Slice | undefined {
  return slices.find(({ from, to }) => from <= timestamp && timestamp < to);
}

/** Makes a slice for a timestamp that has none: of its month, as far as there is none. */
export async function createSlice(pool: Pool, timestamp: number): Promise<void> {
  await pool.write(async (transaction) => {
    await lockAlone(transaction, pool.schema);
    const date = new Date(timestamp);
    const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
    let [from, to] = [Date.UTC(year, month), Date.UTC(year, month + 1)];
    for (const slice of await slicesWithin(transaction, from, to - 1)) {
      if (slice.from <= timestamp && timestamp < slice.to) return;
      if (slice.to <= timestamp) from = Math.max(from, slice.to);
      else to = Math.min(to, slice.from);
    }
    await insertSlice(transaction, from, to);
  });
}

async function insertSlice(transaction: Transaction, from: number, to: number): Promise<Slice> {
  const [{ number }] = (await transaction.rows<{ number: number }>(
    "SELECT nextval('slice_numbers')::int AS number",
  )) as [{ number: number }];
  await transaction.rows(sliceTable(tableOf({ number })));
  await transaction.rows('INSERT INTO slices VALUES ($1, $2, $3)', [number, from, to]);
  return { number, from, to };
}

/**
 * Takes images from a slice that has more than so many. Where they come at its end, the next slice begins there, and none is
 * moved; else some of the newest go to the slice behind. Returns whether it did.
 */
export function relieveSlice(pool: Pool, number: number, images: number): Promise<boolean> {
  return pool.write(async (transaction) => {
    await lockAlone(transaction, pool.schema);
    const [slice] = await transaction.rows<Slice>(`SELECT ${COLUMNS} FROM slices WHERE number = $1`, [number]);
    const at = slice && (await boundaryIn(transaction, slice, images));
    if (slice === undefined || at === undefined) return false;
    await transaction.rows('UPDATE slices SET to_time = $2 WHERE number = $1', [number, at]);
    const behind = await sliceBehind(transaction, slice, at, images);
    const moved = `
      WITH moved AS (DELETE FROM ${tableOf(slice)} WHERE timestamp >= $1 RETURNING *),
        kept AS (INSERT INTO ${tableOf(behind)} SELECT * FROM moved RETURNING size)
      SELECT count(*) AS count, coalesce(sum(size), 0) AS bytes FROM kept`;
    const [sum] = await transaction.rows<{ count: number; bytes: number }>(moved, [at]);
    await addDeltas(transaction, [
      { kind: 'slice', name: `${number}`, count: -sum!.count, bytes: -sum!.bytes },
      { kind: 'slice', name: `${behind.number}`, ...sum! },
    ]);
    return true;
  });
}

/** Returns the slice behind, from this timestamp on: that which is there, where it has room, or a new one. */
async function sliceBehind(transaction: Transaction, { to }: Slice, at: number, images: number): Promise<Slice> {
  const sql = `SELECT ${COLUMNS} FROM slices WHERE from_time = $1`;
  const [next] = at < to ? await transaction.rows<Slice>(sql, [to]) : [];
  if (next === undefined || (await countIn(transaction, next)) > images / 2) return insertSlice(transaction, at, to);
  await transaction.rows('UPDATE slices SET from_time = $2 WHERE number = $1', [next.number, at]);
  return { ...next, from: at };
}

async function countIn(transaction: Transaction, slice: Slice): Promise<number> {
  const [counted] = await transaction.rows<{ count: number }>(`SELECT count(*) AS count FROM ${tableOf(slice)}`);
  return counted!.count;
}

/** Returns the timestamp from which on images leave the slice; undefined where none can. */
async function boundaryIn(transaction: Transaction, slice: Slice, images: number): Promise<number | undefined> {
  const table = tableOf(slice);
  const count = await countIn(transaction, slice);
  if (count <= images) return undefined;
  const most = Math.min(MOVED_AT_ONCE, Math.ceil(images / 2));
  const sql = `
    SELECT timestamp, change, sum(text_bytes) OVER (ORDER BY timestamp DESC, filename DESC) AS bytes
    FROM (SELECT timestamp, filename, change, text_bytes FROM ${table}
      ORDER BY timestamp DESC, filename DESC LIMIT ${most}) AS newest`;
  const newest = await transaction.rows<{ timestamp: number; change: number; bytes: number }>(sql);
  const last = newest[0]!.timestamp;
  const [late] = await transaction.rows<{ change: number }>(`SELECT max(change) AS change FROM ${table}`);
  const isAppended = newest.some(({ change }) => change === late!.change);
  if (isAppended && last + 1 < slice.to) return last + 1;
  const moved = newest.filter(({ bytes }, place) => place === 0 || bytes <= MOVED_BYTES);
  const at = moved.at(-1)!.timestamp;
  const [first] = await transaction.rows<{ timestamp: number }>(`SELECT min(timestamp) AS timestamp FROM ${table}`);
  return at > first!.timestamp ? at : undefined;
}
