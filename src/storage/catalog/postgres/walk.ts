/** Finds the images that match a query, in its order: slice by slice, and no further than it is asked for. */
import type { Position } from '../../domain/requests.ts';
import type { CatalogQuery, ImageSize } from '../catalog.ts';
import { parseGeneration, settingsOf } from '../generation-settings.ts';
import { markOf, YES } from '../search-fields.ts';
import { type ImageTest, testOf } from '../search-match.ts';
import { isEverything, isNothing, parseQuery, withinTime } from '../search-query.ts';
import { Parameters, searchOf } from './condition.ts';
import { placesOf } from './places.ts';
import type { Transaction } from './pool.ts';
import { type StoredRow, toStored } from './rows.ts';
import { type Slice, slicesWithin, tableOf } from './slices.ts';
import { wordQuery } from './words.ts';

export type Start = Position & { inclusive?: boolean };

export interface Hit extends ImageSize {
  slice: Slice;
  /** Grows with every change of an image. */
  change: number;
  /** Of the texts that a list returns. */
  textBytes: number;
}

interface HitRow {
  timestamp: number;
  filename: string;
  size: number;
  pinned: boolean;
  change: number;
  text_bytes: number;
  is_cut: boolean;
  name: string | null;
  /** Its place among the images that were looked at. */
  place: number;
  is_hit: boolean;
}

/** Images that are looked at in one statement; more, the longer it takes. */
const FIRST_BATCH = 128;
const MAX_BATCH = 4096;
/** Where fewer of those that were looked at are hits, the text index is asked. */
const SPARSE = 0.1;
/** The texts of so many are read to test them. */
const TESTED_AT_ONCE = 200;
export const MIN_TIMESTAMP = -(2 ** 53);
export const MAX_TIMESTAMP = 2 ** 53;

/** What one statement looked at. */
interface Looked {
  rows: HitRow[];
  isExact: boolean;
  /** Those that are no hits were counted, too. */
  isNumbered: boolean;
  /** Where so many were looked at, there may be more. */
  limit: number;
}

export interface WalkOptions {
  after?: Start | undefined;
  /** About how many hits are wanted. */
  limit: number;
  /** Returns this of each image, too. */
  group?: 'model' | 'category' | undefined;
}

/** Requires a transaction that sees one moment. */
export async function* hits(
  transaction: Transaction,
  query: CatalogQuery,
  options: WalkOptions,
): AsyncGenerator<Hit, void> {
  const plan = planOf(query);
  if (plan === undefined) return;
  const { after } = options;
  const isOldest = query.order === 'oldest';
  const from = isOldest && after !== undefined ? Math.max(plan.from, after.timestamp) : plan.from;
  const to = !isOldest && after !== undefined ? Math.min(plan.to, after.timestamp + 1) : plan.to;
  if (from >= to) return;
  const named = query.only && (await placesOf(transaction, query.only));
  const slices = named === undefined ? await slicesWithin(transaction, from, to - 1) : [...named.keys()];
  slices.sort((a, b) => (isOldest ? a.from - b.from : b.from - a.from));
  const walk = new Walk(transaction, query, plan, options);
  for (const slice of slices) yield* walk.slice(slice, named?.get(slice));
}

interface Plan {
  /** `[from, to)`. */
  from: number;
  to: number;
  condition: ReturnType<typeof parseQuery>;
  test: ImageTest | undefined;
}

/** Returns undefined where no image can be a hit. */
export function planOf({ query = '', start, end }: CatalogQuery): Plan | undefined {
  const { condition, from, to } = withinTime(parseQuery(query));
  if (isNothing(condition)) return undefined;
  return {
    from: Math.max(start ?? MIN_TIMESTAMP, from, MIN_TIMESTAMP),
    to: Math.min(end ?? MAX_TIMESTAMP, to, MAX_TIMESTAMP),
    condition,
    test: isEverything(condition) ? undefined : testOf(condition),
  };
}

class Walk {
  readonly #transaction: Transaction;
  readonly #query: CatalogQuery;
  readonly #plan: Plan;
  readonly #options: WalkOptions;
  #place: Start | undefined;
  /** Whether hits are so rare that the text index is quicker. */
  #isSparse = false;
  #batch = FIRST_BATCH;

  constructor(transaction: Transaction, query: CatalogQuery, plan: Plan, options: WalkOptions) {
    this.#transaction = transaction;
    this.#query = query;
    this.#plan = plan;
    this.#options = options;
    this.#place = options.after;
  }

  /** `only`: no others are looked at. */
  async *slice(slice: Slice, only?: readonly Position[]): AsyncGenerator<Hit, void> {
    for (;;) {
      const { rows, isExact, isNumbered, limit } = await this.#rows(slice, only);
      const found = rows.filter((row) => row.is_hit);
      yield* this.#tested(slice, found, isExact);
      const last = rows.at(-1);
      const looked = isNumbered ? (last?.place ?? 0) : rows.length;
      if (isNumbered && looked > 0) this.#isSparse = found.length < SPARSE * looked;
      if (looked < limit) return;
      this.#place = last!;
      this.#batch = Math.min(2 * this.#batch, MAX_BATCH);
    }
  }

  async #rows(slice: Slice, only: readonly Position[] | undefined): Promise<Looked> {
    const parameters = new Parameters();
    const search = searchOf(this.#query, this.#plan.condition, parameters);
    const isNumbered = !this.#isSparse || only !== undefined;
    const limit = Math.min(Math.max(this.#batch, this.#options.limit + 1), MAX_BATCH);
    const bounds = this.#bounds(parameters);
    const { order } = this.#query;
    const sort = order === 'oldest' ? 'timestamp, filename' : 'timestamp DESC, filename DESC';
    const { group } = this.#options;
    const columns = `timestamp, filename, size, pinned, change, text_bytes, is_cut, ${group ?? 'NULL::text'} AS name`;
    const table = tableOf(slice);
    const named = only === undefined ? '' : ` AND ${namedIn(only, parameters)}`;
    const scope = this.#scope(parameters);
    const end = `ORDER BY ${sort} LIMIT ${limit}`;
    const found = `SELECT ${columns}, 0 AS place, TRUE AS is_hit`;
    const numbered = `
      SELECT * FROM (
        SELECT *, row_number() OVER (ORDER BY ${sort}) AS place FROM (
          SELECT ${columns}, ${search.sql} AS is_hit FROM ${table} WHERE ${bounds}${scope}${named} ${end}) AS looked) AS numbered
      WHERE is_hit OR place = ${limit} ORDER BY place`;
    const lookedUp = `
      WITH found AS MATERIALIZED (
        ${found} FROM ${table} WHERE words @@ ${parameters.add(search.lookup)}::tsquery AND ${search.sql})
      SELECT * FROM found WHERE ${bounds} ${end}`;
    const filtered = `${found} FROM ${table} WHERE ${bounds}${scope} AND ${search.sql} ${end}`;
    const sql = isNumbered ? numbered : search.lookup === undefined ? filtered : lookedUp;
    const rows = await this.#transaction.rows<HitRow>(...parameters.of(sql));
    return { rows, isExact: search.isExact, isNumbered, limit };
  }

  /** The images of an index of their own: others need not be looked at. */
  #scope(parameters: Parameters): string {
    const { category, pinned } = this.#query;
    if (category) return ` AND category = ${parameters.add(category)} AND category <> ''`;
    return pinned ? ' AND pinned' : '';
  }

  #bounds(parameters: Parameters): string {
    const { from, to } = this.#plan;
    const bounds = [`timestamp >= ${parameters.add(from)}::bigint`, `timestamp < ${parameters.add(to)}::bigint`];
    const place = this.#place;
    if (place !== undefined) {
      const sign = `${this.#query.order === 'oldest' ? '>' : '<'}${place.inclusive ? '=' : ''}`;
      const at = `(${parameters.add(place.timestamp)}::bigint, ${parameters.add(place.filename)}::text)`;
      bounds.push(`(timestamp, filename) ${sign} ${at}`);
    }
    return bounds.join(' AND ');
  }

  async *#tested(slice: Slice, rows: readonly HitRow[], isExact: boolean): AsyncGenerator<Hit, void> {
    const { test } = this.#plan;
    for (let at = 0; at < rows.length; at += TESTED_AT_ONCE) {
      const group = rows.slice(at, at + TESTED_AT_ONCE);
      const doubtful = test === undefined ? [] : group.filter((row) => !isExact || row.is_cut);
      const texts = await textsOf(this.#transaction, slice, doubtful, TESTED);
      for (const row of group) {
        const text = texts.get(row.filename);
        if (text === undefined || test!(searchedIn(text))) yield hitOf(slice, row);
      }
    }
  }
}

function namedIn(images: readonly Position[], parameters: Parameters): string {
  const times = parameters.add(images.map(({ timestamp }) => timestamp));
  const names = parameters.add(images.map(({ filename }) => filename));
  return `(timestamp, filename) IN (SELECT * FROM unnest(${times}::bigint[], ${names}::text[]))`;
}

/** What a test needs. The parameters, which may be long, are read where the words do not tell of a workflow. */
const TESTED = `head, prompt, generation, CASE WHEN is_cut THEN parameters ELSE '' END AS parameters, thumb_hash,
  words @@ $w$${wordQuery(markOf('workflow') + YES)}$w$::tsquery AS has_workflow`;

function searchedIn(row: StoredRow & { has_workflow?: boolean }) {
  const record = toStored(row);
  const hasWorkflow = row.has_workflow === true || settingsOf(record).hasWorkflow;
  const generation = row.generation === '' ? undefined : parseGeneration(row.generation);
  return { ...record, settings: { generation, hasWorkflow } };
}

function hitOf(slice: Slice, { timestamp, filename, size, pinned, change, text_bytes, name }: HitRow): Hit {
  const group = name === null ? {} : { group: name };
  return { slice, timestamp, filename, size, pinned, change, textBytes: text_bytes, ...group };
}

/** Reads the texts of images of one slice, by filename. `columns`: STORED, SHOWN or TESTED. */
export async function textsOf(
  transaction: Transaction,
  slice: Slice,
  images: readonly Position[],
  columns: string,
): Promise<Map<string, StoredRow>> {
  if (images.length === 0) return new Map();
  const parameters = new Parameters();
  const sql = `SELECT filename, ${columns} FROM ${tableOf(slice)} WHERE ${namedIn(images, parameters)}`;
  const rows = await transaction.rows<StoredRow & { filename: string }>(...parameters.of(sql));
  return new Map(rows.map((row) => [row.filename, row]));
}
