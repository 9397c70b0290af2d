/** The sums that statistics are read from: appended as deltas, which no two writers contend for, and folded later. */
import type { GroupStatistics } from '../../domain/requests.ts';
import type { CatalogStatistics } from '../catalog.ts';
import type { NamedSum } from '../sums.ts';
import type { Pool, Transaction } from './pool.ts';

const FOLDED_AT_ONCE = 20_000;
const LISTED_GROUPS = 100;

/** Folded sums and deltas, as one table. */
const EVERY_SUM = `(
  SELECT kind, name, sum(count) AS count, sum(bytes) AS bytes
  FROM (SELECT kind, name, count, bytes FROM sums UNION ALL SELECT kind, name, count, bytes FROM sum_deltas) AS parts
  GROUP BY kind, name HAVING sum(count) <> 0)`;

export async function addDeltas(transaction: Transaction, sums: readonly NamedSum[]): Promise<void> {
  if (sums.length === 0) return;
  const sql = `
    INSERT INTO sum_deltas (kind, name, count, bytes)
    SELECT kind, name, count, bytes FROM json_to_recordset($1) AS r(kind text, name text, count bigint, bytes bigint)`;
  await transaction.rows(sql, [JSON.stringify(sums)]);
}

/** Folds deltas into the sums. Returns whether there may be more. Several daemons may do so at once. */
export function foldDeltas(pool: Pool): Promise<boolean> {
  const sql = `
    WITH taken AS (
      DELETE FROM sum_deltas WHERE number IN (
        SELECT number FROM sum_deltas ORDER BY number LIMIT ${FOLDED_AT_ONCE} FOR UPDATE SKIP LOCKED)
      RETURNING kind, name, count, bytes),
    folded AS (
      INSERT INTO sums (kind, name, count, bytes)
      SELECT kind, name, sum(count), sum(bytes) FROM taken GROUP BY kind, name ORDER BY kind, name
      ON CONFLICT (kind, name) DO UPDATE SET count = sums.count + excluded.count, bytes = sums.bytes + excluded.bytes)
    SELECT count(*) AS count FROM taken`;
  return pool.write(async (transaction) => {
    const [taken] = await transaction.rows<{ count: number }>(sql);
    if (taken!.count > 0) await transaction.rows('DELETE FROM sums WHERE count = 0 AND bytes = 0');
    return taken!.count === FOLDED_AT_ONCE;
  });
}

/** Returns the sums of a kind whose names are before that one, the last first. */
export function sumsOf(transaction: Transaction, kind: string): Promise<NamedSum[]> {
  return transaction.rows<NamedSum>(`SELECT * FROM ${EVERY_SUM} AS every WHERE kind = $1`, [kind]);
}

/** Returns the numbers of the slices that have more images than this, the fullest first. */
export async function crowdedSlices(pool: Pool, images: number): Promise<number[]> {
  const sql = `SELECT name::int AS number FROM ${EVERY_SUM} AS every WHERE kind = 'slice' AND count > $1 ORDER BY count DESC`;
  return pool.read(async (transaction) =>
    (await transaction.rows<{ number: number }>(sql, [images])).map(({ number }) => number),
  );
}

export async function statistics(
  transaction: Transaction,
  ends: { oldest?: number; newest?: number },
): Promise<CatalogStatistics> {
  const sql = `
    SELECT kind, name, count, bytes FROM (
      SELECT *, row_number() OVER (PARTITION BY kind ORDER BY CASE WHEN kind = 'date' THEN NULL ELSE bytes END DESC,
        CASE WHEN kind = 'date' THEN name END DESC, name) AS place
      FROM ${EVERY_SUM} AS every WHERE kind IN ('total', 'pinned', 'trash', 'model', 'category', 'date')) AS ranked
    WHERE place <= ${LISTED_GROUPS} ORDER BY kind, place`;
  const sums = await transaction.rows<NamedSum>(sql);
  const one = (kind: string) => sums.find((sum) => sum.kind === kind) ?? { count: 0, bytes: 0 };
  const [total, trash] = [one('total'), one('trash')];
  return {
    count: total.count,
    bytes: total.bytes,
    pinnedCount: one('pinned').count,
    trashCount: trash.count,
    trashBytes: trash.bytes,
    ...ends,
    byModel: groupsOf(sums, 'model', total),
    byCategory: groupsOf(sums, 'category', total),
    byDate: groupsOf(sums, 'date', total),
  };
}

/** With the rest of those that are not listed. */
function groupsOf(
  sums: readonly NamedSum[],
  kind: string,
  total: Pick<NamedSum, 'count' | 'bytes'>,
): GroupStatistics[] {
  const groups = sums
    .filter((sum) => sum.kind === kind)
    .map(({ name, count, bytes }): GroupStatistics => ({ name, count, bytes, rest: false }));
  const count = groups.reduce((left, group) => left - group.count, total.count);
  const bytes = groups.reduce((left, group) => left - group.bytes, total.bytes);
  return count > 0 ? [...groups, { name: '', count, bytes, rest: true }] : groups;
}
