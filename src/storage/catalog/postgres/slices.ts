/** The tables of live images: each has those from one timestamp up to another, and not many more than 100,000. */
import { sliceTable } from './migrations/001-initial.ts';
import type { Pool, Transaction } from './pool.ts';
import { addDeltas } from './sums.ts';

export const MAX_IMAGES = 100_000;
const HOUR_MS = 60 * 60 * 1000;

/** `[from, to)`, ms since 1970. */
export interface Slice {
  number: number;
  from: number;
  to: number;
}

export function tableOf({ number }: Pick<Slice, 'number'>): string {
  return `slice_${number}`;
}

/**
 * Holds off what moves images between slices, and moments of plans, until the transaction ends. Writers do not wait for each
 * other.
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

/** Splits a slice that has more images than this. Where they grow at its end, as they do today, no image is moved. */
export async function splitSlice(pool: Pool, number: number, images: number, now: number): Promise<void> {
  await pool.write(async (transaction) => {
    await lockAlone(transaction, pool.schema);
    const [slice] = await transaction.rows<Slice>(`SELECT ${COLUMNS} FROM slices WHERE number = $1`, [number]);
    if (slice === undefined) return;
    const at = await splitPoint(transaction, slice, images, now);
    if (at === undefined) return;
    await transaction.rows('UPDATE slices SET to_time = $2 WHERE number = $1', [number, at]);
    const rest = await insertSlice(transaction, at, slice.to);
    const moved = `
      WITH moved AS (DELETE FROM ${tableOf(slice)} WHERE timestamp >= $1 RETURNING *),
        kept AS (INSERT INTO ${tableOf(rest)} SELECT * FROM moved RETURNING size)
      SELECT count(*) AS count, coalesce(sum(size), 0) AS bytes FROM kept`;
    const [sum] = await transaction.rows<{ count: number; bytes: number }>(moved, [at]);
    await addDeltas(transaction, [
      { kind: 'slice', name: `${number}`, count: -sum!.count, bytes: -sum!.bytes },
      { kind: 'slice', name: `${rest.number}`, ...sum! },
    ]);
  });
}

async function splitPoint(
  transaction: Transaction,
  slice: Slice,
  images: number,
  now: number,
): Promise<number | undefined> {
  const table = tableOf(slice);
  const [ends] = await transaction.rows<{ count: number; first: number; last: number }>(
    `SELECT count(*) AS count, min(timestamp) AS first, max(timestamp) AS last FROM ${table}`,
  );
  const { count, first, last } = ends!;
  if (count <= images) return undefined;
  if (last < now + HOUR_MS && last > now - HOUR_MS && last + 1 < slice.to) return last + 1;
  const middle = `SELECT timestamp FROM ${table} ORDER BY timestamp OFFSET $1 LIMIT 1`;
  const [found] = await transaction.rows<{ timestamp: number }>(middle, [Math.floor(count / 2)]);
  if (found!.timestamp > first) return found!.timestamp;
  // Half of them have the first timestamp.
  const next = `SELECT min(timestamp) AS timestamp FROM ${table} WHERE timestamp > $1`;
  const [after] = await transaction.rows<{ timestamp: number | null }>(next, [first]);
  return after!.timestamp ?? undefined;
}
