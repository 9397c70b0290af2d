/** Counts the images that match a query, in total and by group: from the sums where these have them, else slice by slice. */
import { Calendar } from '../../domain/calendar.ts';
import type { CatalogQuery, CatalogTotals, Grouping } from '../catalog.ts';
import { parseGeneration } from '../generation-settings.ts';
import { namesOf } from '../sums.ts';
import { Tally } from '../tally.ts';
import { Parameters, searchOf } from './condition.ts';
import type { Transaction } from './pool.ts';
import { SHOWN } from './rows.ts';
import { type Slice, slicesWithin, tableOf } from './slices.ts';
import { sumsOf } from './sums.ts';
import { type Hit, hits, MAX_TIMESTAMP, MIN_TIMESTAMP, planOf, textsOf } from './walk.ts';

/** What a count takes at most, before it begins with another slice. */
const MAX_MS = 1_000;
const MAX_WALKED = 50_000;
const TESTED_AT_ONCE = 500;
/** Days and months of every time zone begin with one; those of a few before 1972 do so almost. */
const QUARTER_MS = 15 * 60 * 1000;
const IN_SUMS = ['model', 'category', 'tag', 'lora'];

/** Of the images of one slice that have the same key. */
interface Part {
  name: string | null;
  quarter: number | null;
  count: number;
  bytes: number;
  oldest: number;
  newest: number;
}

/** Requires a transaction that sees one moment. */
export async function totals(
  transaction: Transaction,
  query: CatalogQuery,
  grouping: Grouping,
): Promise<CatalogTotals> {
  const tally = new Tally(grouping);
  const { by } = grouping;
  const plan = planOf(query);
  if (plan === undefined) return tally.result(false);
  const search = searchOf(query, plan.condition, new Parameters());
  if (!search.isExact || query.only !== undefined) return walked(transaction, query, grouping, tally);
  const isEvery = search.sql === 'TRUE' && query.start === undefined && query.end === undefined;
  const isInSums = isEvery && plan.from === MIN_TIMESTAMP && plan.to === MAX_TIMESTAMP && IN_SUMS.includes(by ?? '');
  if (isInSums) for (const sum of await sumsOf(transaction, by!)) tally.addToGroup(sum.name, sum);
  const began = performance.now();
  const slices = await slicesWithin(transaction, plan.from, plan.to - 1);
  for (const slice of slices.reverse()) {
    if (performance.now() - began > MAX_MS) return tally.result(true);
    await addSlice(transaction, slice, query, isInSums ? { limit: grouping.limit } : grouping, tally);
  }
  return tally.result(false);
}

async function addSlice(
  transaction: Transaction,
  slice: Slice,
  query: CatalogQuery,
  { by, timeZone }: Grouping,
  tally: Tally,
): Promise<void> {
  const plan = planOf(query)!;
  const parameters = new Parameters();
  const search = searchOf(query, plan.condition, parameters);
  const isByTime = by === 'day' || by === 'month';
  const labels = by === 'tag' ? 'tags' : by === 'lora' ? 'loras' : undefined;
  const name = by === 'model' || by === 'category' ? by : 'NULL::text';
  const quarter = isByTime ? `timestamp / ${QUARTER_MS}` : 'NULL::bigint';
  const where = `timestamp >= ${parameters.add(plan.from)}::bigint AND timestamp < ${parameters.add(plan.to)}::bigint AND ${search.sql}`;
  const sql = `
    SELECT ${name} AS name, ${quarter} AS quarter, count(*) AS count, coalesce(sum(size), 0) AS bytes,
      min(timestamp) AS oldest, max(timestamp) AS newest
    FROM ${tableOf(slice)} WHERE ${where} GROUP BY 1, 2 ORDER BY 2 DESC, 1`;
  const calendar = isByTime ? new Calendar(by, timeZone) : undefined;
  for (const part of await transaction.rows<Part>(...parameters.of(sql))) {
    tally.add(part);
    tally.addTime(part.oldest);
    tally.addTime(part.newest);
    if (calendar !== undefined) tally.addToGroup(calendar.periodAt(part.quarter! * QUARTER_MS).name, part);
    else if (by !== undefined && labels === undefined) tally.addToGroup(part.name!, part);
  }
  if (labels === undefined) return;
  const byLabel = `
    SELECT label AS name, count(*) AS count, sum(size) AS bytes
    FROM ${tableOf(slice)}, LATERAL (
      SELECT DISTINCT unnest(CASE WHEN cardinality(${labels}) = 0 THEN ARRAY['']::text[] ELSE ${labels} END) AS label) AS each
    WHERE ${where} GROUP BY 1`;
  for (const part of await transaction.rows<Part>(...parameters.of(byLabel))) tally.addToGroup(part.name!, part);
}

/** Reads the images one by one: the query asks for more than the columns of a slice tell. */
async function walked(
  transaction: Transaction,
  query: CatalogQuery,
  grouping: Grouping,
  tally: Tally,
): Promise<CatalogTotals> {
  const { by } = grouping;
  const group = by === 'model' || by === 'category' ? by : undefined;
  const began = performance.now();
  let waiting: Hit[] = [];
  let count = 0;
  const add = async () => {
    const names = await namesOfAll(transaction, waiting, grouping);
    for (const [at, { timestamp, size }] of waiting.entries()) {
      tally.addImage(timestamp, size);
      for (const name of names(at)) tally.addToGroup(name, { count: 1, bytes: size });
    }
    waiting = [];
  };
  for await (const hit of hits(transaction, { ...query, order: 'newest' }, { limit: TESTED_AT_ONCE, group })) {
    waiting.push(hit);
    count += 1;
    if (waiting.length < TESTED_AT_ONCE) continue;
    await add();
    if (performance.now() - began > MAX_MS || count > MAX_WALKED) return tally.result(true);
  }
  await add();
  return tally.result(false);
}

/** Returns what returns the names of the groups of an image: several tags or LoRAs, else one; '' is none. */
async function namesOfAll(
  transaction: Transaction,
  images: readonly Hit[],
  { by, timeZone }: Grouping,
): Promise<(at: number) => Iterable<string>> {
  if (by === undefined) return () => [];
  if (by === 'model' || by === 'category') return (at) => [images[at]!.group!];
  if (by === 'day' || by === 'month') {
    const calendar = new Calendar(by, timeZone);
    return (at) => [calendar.periodAt(images[at]!.timestamp).name];
  }
  const labels = new Map<string, readonly string[]>();
  for (const [slice, some] of Map.groupBy(images, (hit) => hit.slice)) {
    for (const [filename, row] of await textsOf(transaction, slice, some, SHOWN)) {
      const loras = row.generation === '' ? [] : (parseGeneration(row.generation)?.loras ?? []);
      labels.set(filename, by === 'lora' ? loras : (JSON.parse(row.head) as { tags: string[] }).tags);
    }
  }
  return (at) => namesOf(labels.get(images[at]!.filename) ?? []);
}
