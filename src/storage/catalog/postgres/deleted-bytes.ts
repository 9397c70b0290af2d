/** The bytes that were deleted within a year, so that an import does not bring them back. */
import { DELETED_KEPT_MS, deletedDigits } from '../deleted-bytes.ts';
import type { Transaction } from './pool.ts';

/** Of each sha256, when it was deleted last; undefined: it is there again. */
export type Fates = ReadonlyMap<string, number | undefined>;

export async function noteFates(transaction: Transaction, fates: Fates): Promise<void> {
  const told = [...fates].map(([sha256, time]) => ({ sha256: deletedDigits(sha256), time }));
  const back = told.filter(({ time }) => time === undefined).map(({ sha256 }) => sha256);
  if (back.length > 0) await transaction.rows('DELETE FROM deleted_bytes WHERE sha256 = ANY($1)', [back.sort()]);
  const gone = new Map(told.flatMap(({ sha256, time }) => (time === undefined ? [] : [[sha256, time]])));
  if (gone.size === 0) return;
  const sql = `
    INSERT INTO deleted_bytes AS known SELECT * FROM unnest($1::text[], $2::bigint[])
    ON CONFLICT (sha256) DO UPDATE SET delete_time = greatest(known.delete_time, excluded.delete_time)`;
  const sorted = [...gone].sort(([a], [b]) => (a! < b! ? -1 : 1));
  await transaction.rows(sql, [sorted.map(([sha256]) => sha256), sorted.map(([, time]) => time)]);
}

export async function wasDeleted(transaction: Transaction, sha256: string): Promise<boolean> {
  const sql = 'SELECT 1 FROM deleted_bytes WHERE sha256 = $1';
  return (await transaction.rows(sql, [deletedDigits(sha256)])).length > 0;
}

export async function dropOldDeleted(transaction: Transaction, before: number): Promise<void> {
  await transaction.rows('DELETE FROM deleted_bytes WHERE delete_time < $1', [before - DELETED_KEPT_MS]);
}
