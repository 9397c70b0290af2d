/** Finds the images that match a query, in its order, with pauses that let other calls run. */
import { isModelSlug, modelSlug } from '../../domain/naming.ts';
import type { Position } from '../../domain/requests.ts';
import type { CatalogQuery, ImageSize } from '../catalog.ts';
import { filterWords } from '../search-fields.ts';
import { type ImageTest, testOf } from '../search-match.ts';
import { type Condition, isEverything, isNothing, needsSettings, parseQuery, withinTime } from '../search-query.ts';
import type { Connection, Fragment } from './connection.ts';
import { PAUSE, Slice } from './pause.ts';
import { RECORD_VALUES, ROW_VALUES, type RowArray } from './rows.ts';
import { StoredImage } from './stored-image.ts';
import { checkSettingsRead, indexedFrom } from './text-index.ts';
import { type Lookup, TextLookup } from './text-lookup.ts';

/** The most images of one timestamp that are collected and sorted; where more match, all are read by their filenames. */
const MAX_SORTED = 500;
/** Beyond what a place in time can hold. */
const MAX_TIMESTAMP = 2 ** 48 - 2;
const MIN_TIMESTAMP = -(2 ** 47);

export interface Hit extends ImageSize {
  seq: number;
  /** What is wanted, and perhaps others after it. Unset where only sizes were asked for. */
  row?: RowArray | undefined;
}

/** What is read of the hits. */
export type Wanted = 'records' | 'rows' | 'sizes' | 'model' | 'category';

export type Start = Position & { inclusive?: boolean };

/** The images from one timestamp to another, both included, in the order of the query. */
interface Stretch {
  from: number;
  to: number;
}

/** Where to go on: with the images of a timestamp, after the one at that position. */
interface Place {
  timestamp: number;
  after?: Start | undefined;
}

interface Plan {
  order: CatalogQuery['order'];
  /** The first and the last timestamp in the order of the query. */
  first: number;
  last: number;
  /** As the catalog had it when the plan was made. */
  indexedFrom: number;
  /** What the text index is asked; unset where it is of no use. */
  lookup: Lookup | 'nothing' | undefined;
  /** Without the text index: which index is read. `isExact`: one filter alone would pass all images in it. */
  walk: { index: string; scope: Fragment; isExact: boolean };
  /** Which of the images that are read are hits: those that pass both. Unset: the query says nothing. */
  test: Fragment;
  queryTest: ImageTest | undefined;
  wanted: Wanted;
}

/** Searches over one connection. */
export class Walk {
  readonly #db: Connection;
  readonly #lookup: TextLookup;

  constructor(db: Connection) {
    this.#db = db;
    this.#lookup = new TextLookup(db);
  }

  /**
   * Yields the hits after `after`. At a hit a read transaction is open, at a PAUSE none is. Throws CATALOG_REBUILDING
   * where the query asks for settings that are not read of all images yet.
   */
  *hits(query: CatalogQuery, after: Start | undefined, wanted: Wanted): Generator<Hit | typeof PAUSE, void> {
    const { condition, from, to } = withinTime(parseQuery(query.query ?? ''));
    if (isNothing(condition)) return;
    if (needsSettings(condition)) checkSettingsRead(this.#db);
    const { start = from, end = to } = query;
    const range = { start: Math.max(start, from), end: Math.min(end, to) };
    const plan = yield* this.#plan({ ...query, ...range }, condition, wanted);
    if (query.only !== undefined) {
      yield* this.#named(plan, query.only, after);
      return;
    }
    let place: Place | undefined = firstPlace(plan, after);
    for (;;) {
      place = yield* this.#slice(plan, place);
      if (place === undefined) return;
      yield PAUSE;
    }
  }

  *#plan(
    query: CatalogQuery & { start: number; end: number },
    condition: Condition,
    wanted: Wanted,
  ): Generator<typeof PAUSE, Plan> {
    const { order, start, end } = query;
    const [oldest, newest] = [Math.max(start, MIN_TIMESTAMP), Math.min(end - 1, MAX_TIMESTAMP)];
    // Before the words of the index are read: what is indexed meanwhile may have others.
    const from = indexedFrom(this.#db);
    const filters = filterWords(query);
    const isNamed = query.only !== undefined;
    const isIndexWalk = isEverything(condition) && filters.length <= 1 && !query.tags?.length;
    const walk = indexWalk(query);
    return {
      order,
      ...(order === 'oldest' ? { first: oldest, last: newest } : { first: newest, last: oldest }),
      indexedFrom: from,
      lookup: isIndexWalk || isNamed ? undefined : yield* this.#lookup.find(condition, filters),
      walk,
      test: isIndexWalk && walk.isExact && !isNamed ? { sql: EVERY, values: [] } : filterTest(query),
      queryTest: isEverything(condition) ? undefined : testOf(condition),
      wanted,
    };
  }

  /** Looks up images by their names. */
  *#named(plan: Plan, names: readonly string[], after: Start | undefined): Generator<Hit | typeof PAUSE, void> {
    const found: Hit[] = [];
    let slice = new Slice();
    for (const name of new Set(names)) {
      const hit = this.#namedOne(plan, name);
      if (hit !== undefined && (after === undefined || isBehind(hit, after, plan.order))) found.push(hit);
      if (!slice.isOver) continue;
      yield PAUSE;
      slice = new Slice();
    }
    found.sort((a, b) => (isBehind(a, b, plan.order) ? 1 : -1));
    yield* found;
  }

  #namedOne(plan: Plan, name: string): Hit | undefined {
    const { sql, values } = naming(plan, name);
    const row = this.#db.getArray(sql, ...values);
    if (row === undefined || !isHit(row)) return undefined;
    const hit = toHit(row, plan.wanted);
    return this.#passes(hit, plan) ? hit : undefined;
  }

  /** Returns where to continue once its time is over; undefined at the end. */
  *#slice(plan: Plan, begin: Place): Generator<Hit, Place | undefined> {
    this.#db.exec('BEGIN');
    try {
      const slice = new Slice();
      for (let place: Place | undefined = begin; place !== undefined; ) {
        if (isBeyond(plan, place.timestamp)) return undefined;
        place = yield* this.#stretch(plan, place, slice);
        if (place !== undefined && slice.isOver) return place;
      }
      return undefined;
    } finally {
      this.#db.exec('COMMIT');
    }
  }

  /** Returns where the next stretch begins, or where to continue once the time of the slice is over. */
  *#stretch(plan: Plan, place: Place, slice: Slice): Generator<Hit, Place | undefined> {
    const { timestamp } = place;
    const { lookup } = plan;
    const last = lookup === undefined ? undefined : this.#lastIndexed(plan, timestamp);
    if (last === undefined) return yield* this.#walked(plan, place, this.#lastWalked(plan, timestamp), slice);
    if (lookup === 'nothing') return { timestamp: next(plan, last) };
    return yield* this.#matched(plan, lookup as Lookup, place, last, slice);
  }

  /** Returns up to which timestamp, beginning with this one, the text index has all images; undefined where it lacks some. */
  #lastIndexed({ order, last, ...plan }: Plan, timestamp: number): number | undefined {
    const from = Math.max(plan.indexedFrom, indexedFrom(this.#db));
    if (timestamp < from || this.#crowdedFrom(order, timestamp, true) === timestamp) return undefined;
    const crowded = this.#crowdedFrom(order, timestamp, false);
    if (order === 'oldest') return Math.min(last, (crowded ?? Number.POSITIVE_INFINITY) - 1);
    return Math.max(last, from, (crowded ?? Number.NEGATIVE_INFINITY) + 1);
  }

  #lastWalked({ order, last, lookup, ...plan }: Plan, timestamp: number): number {
    const from = Math.max(plan.indexedFrom, indexedFrom(this.#db));
    if (lookup === undefined) return last;
    if (timestamp >= from) return timestamp;
    return order === 'oldest' ? Math.min(last, from - 1) : last;
  }

  /** Returns the next timestamp, in the order, that more images share than the text index can hold. */
  #crowdedFrom(order: CatalogQuery['order'], timestamp: number, inclusive: boolean): number | undefined {
    const [end, operator] = order === 'oldest' ? ['min', '>'] : ['max', '<'];
    const sql = `SELECT ${end}(timestamp) FROM crowded WHERE timestamp ${operator}${inclusive ? '=' : ''} ?`;
    return (this.#db.value(sql, timestamp) ?? undefined) as number | undefined;
  }

  /** Reads images in their order, and tests each. */
  *#walked(plan: Plan, place: Place, to: number, slice: Slice): Generator<Hit, Place | undefined> {
    // Where images are passed over, the long columns are read of hits alone.
    const columns = plan.test.sql === EVERY && plan.queryTest === undefined ? plan.wanted : 'sizes';
    const { sql, values } = selection(plan, place, to, columns);
    for (const row of this.#db.iterateArrays(sql, ...values)) {
      const hit = toHit(row, columns);
      if (isHit(row) && this.#passes(hit, plan)) yield this.#complete(plan, hit);
      if (slice.isOver) return { timestamp: hit.timestamp, after: hit };
    }
    return { timestamp: next(plan, to) };
  }

  /** Reads what the text index finds, timestamp by timestamp: those of one are sorted by their filenames. */
  *#matched(plan: Plan, lookup: Lookup, place: Place, to: number, slice: Slice): Generator<Hit, Place | undefined> {
    const columns = lookup.isExact ? plan.wanted : 'sizes';
    const { sql, values } = matching(plan, lookup, { from: place.timestamp, to }, columns);
    let group: Hit[] = [];
    let found = 0;
    let { timestamp, after } = place;
    for (const row of this.#db.iterateArrays(sql, ...values)) {
      const hit = toHit(row, columns);
      if (hit.timestamp !== timestamp) {
        yield* sorted(group, plan.order);
        timestamp = hit.timestamp;
        if (found > 0 && slice.isOver) return { timestamp };
        [group, found, after] = [[], 0, undefined];
      }
      found += 1;
      if (found > MAX_SORTED) break;
      if (after !== undefined && !isPast(hit, after, plan.order)) continue;
      if (isHit(row) && (lookup.isExact || this.#passes(hit, plan))) group.push(this.#complete(plan, hit));
    }
    if (found > MAX_SORTED) return yield* this.#walked(plan, { timestamp, after }, timestamp, slice);
    yield* sorted(group, plan.order);
    return { timestamp: next(plan, to) };
  }

  #complete({ wanted }: Plan, hit: Hit): Hit {
    if (wanted !== 'sizes') hit.row ??= this.#db.getArray(ROW[wanted], hit.seq);
    return hit;
  }

  #passes({ seq }: Hit, { queryTest }: Plan): boolean {
    return queryTest === undefined || queryTest(new StoredImage(this.#db, seq));
  }
}

function firstPlace({ first, order }: Plan, after: Start | undefined): Place {
  const isWithin = after !== undefined && (order === 'oldest' ? after.timestamp >= first : after.timestamp <= first);
  return isWithin ? { timestamp: after.timestamp, after } : { timestamp: first };
}

function next({ order }: Plan, timestamp: number): number {
  return order === 'oldest' ? timestamp + 1 : timestamp - 1;
}

function isBeyond({ order, last }: Plan, timestamp: number): boolean {
  return order === 'oldest' ? timestamp > last : timestamp < last;
}

/** Returns whether an image of the same timestamp comes after the position. */
function isPast({ filename }: Hit, after: Start, order: CatalogQuery['order']): boolean {
  if (filename === after.filename) return after.inclusive === true;
  return order === 'oldest' ? filename > after.filename : filename < after.filename;
}

/** Returns whether an image comes after the position. */
function isBehind(hit: Hit, after: Start, order: CatalogQuery['order']): boolean {
  if (hit.timestamp === after.timestamp) return isPast(hit, after, order);
  return order === 'oldest' ? hit.timestamp > after.timestamp : hit.timestamp < after.timestamp;
}

function sorted(hits: Hit[], order: CatalogQuery['order']): Hit[] {
  const sign = order === 'oldest' ? 1 : -1;
  return hits.length > 1 ? hits.sort((a, b) => (a.filename < b.filename ? -sign : sign)) : hits;
}

/** The last columns of every selection. */
const HIT_COLUMNS = 'images.seq, timestamp, filename, size, pinned';
/** These and the test. */
const HIT_VALUES = 6;
const COLUMNS: Record<Wanted, string> = {
  records: `${RECORD_VALUES}, ${HIT_COLUMNS}`,
  rows: `${ROW_VALUES}, ${HIT_COLUMNS}`,
  sizes: HIT_COLUMNS,
  model: `images.model, ${HIT_COLUMNS}`,
  category: `images.category, ${HIT_COLUMNS}`,
};
const ROW: Record<Exclude<Wanted, 'sizes'>, string> = {
  records: `SELECT ${RECORD_VALUES} FROM images WHERE seq = ?`,
  rows: `SELECT ${ROW_VALUES} FROM images WHERE seq = ?`,
  model: 'SELECT model FROM images WHERE seq = ?',
  category: 'SELECT category FROM images WHERE seq = ?',
};
/** The test that every image passes. */
const EVERY = 'TRUE';

/**
 * One row value bounds each side: SQLite could walk the index from a second bound on `timestamp` instead of from the
 * position.
 */
function selection({ order, walk, test }: Plan, { timestamp, after }: Place, to: number, columns: Wanted): Fragment {
  const inclusive = after?.inclusive ? '=' : '';
  const [direction, begin, end] =
    order === 'oldest'
      ? (['ASC', after ? `>${inclusive}` : '>=', '<'] as const)
      : (['DESC', after ? `<${inclusive}` : '<', '>='] as const);
  const first = after ?? { timestamp: order === 'oldest' ? timestamp : timestamp + 1, filename: '' };
  const sql = `
    SELECT ${COLUMNS[columns]}, (${test.sql})
    FROM images INDEXED BY ${walk.index}
    WHERE delete_time IS NULL AND ${walk.scope.sql}
      AND (timestamp, filename) ${begin} (?, ?) AND (timestamp, filename) ${end} (?, ?)
    ORDER BY timestamp ${direction}, filename ${direction}`;
  const bounds = [first.timestamp, first.filename, order === 'oldest' ? to + 1 : to, ''];
  return { sql, values: [...test.values, ...walk.scope.values, ...bounds] };
}

function matching({ order, test }: Plan, { expression }: Lookup, { from, to }: Stretch, columns: Wanted): Fragment {
  const sql = `
    SELECT ${COLUMNS[columns]}, (${test.sql})
    FROM prompts CROSS JOIN timeline ON timeline.place = prompts.rowid CROSS JOIN images ON images.seq = timeline.seq
    WHERE prompts MATCH ? AND prompts.rowid >= ? << 15 AND prompts.rowid < ? << 15
    ORDER BY prompts.rowid ${order === 'oldest' ? 'ASC' : 'DESC'}`;
  return { sql, values: [...test.values, expression, Math.min(from, to), Math.max(from, to) + 1] };
}

function naming({ order, first, last, test, wanted }: Plan, name: string): Fragment {
  const sql = `
    SELECT ${COLUMNS[wanted]}, (${test.sql})
    FROM images WHERE filename = ? AND delete_time IS NULL AND timestamp BETWEEN ? AND ?`;
  return { sql, values: [...test.values, name, ...(order === 'oldest' ? [first, last] : [last, first])] };
}

function indexWalk({ model, category, pinned }: CatalogQuery): Plan['walk'] {
  const isExact = pinned !== false;
  if (model) {
    const scope = { sql: 'model_slug = ?', values: [modelSlug(model)] };
    return { index: 'images_model', scope, isExact: isExact && isModelSlug(model) };
  }
  if (category) {
    const scope = { sql: "category = ? AND category <> ''", values: [category] };
    return { index: 'images_category', scope, isExact };
  }
  if (pinned) return { index: 'images_pinned', scope: { sql: 'pinned = 1', values: [] }, isExact };
  return { index: 'images_time', scope: { sql: EVERY, values: [] }, isExact };
}

function filterTest({ model, category, pinned, tags = [] }: CatalogQuery): Fragment {
  const tests: Fragment[] = tags.map((tag) => ({
    sql: 'EXISTS (SELECT 1 FROM json_each(images.tags) WHERE value = ?)',
    values: [tag],
  }));
  if (model)
    tests.push(isModelSlug(model) ? { sql: 'model_slug = ?', values: [model] } : { sql: 'model = ?', values: [model] });
  if (category) tests.push({ sql: 'category = ?', values: [category] });
  if (pinned !== undefined) tests.push({ sql: 'pinned = ?', values: [Number(pinned)] });
  return {
    sql: tests.map((test) => test.sql).join(' AND ') || EVERY,
    values: tests.flatMap((test) => test.values),
  };
}

function toHit(row: RowArray, columns: Wanted): Hit {
  const at = row.length - HIT_VALUES;
  return {
    seq: row[at] as number,
    timestamp: row[at + 1] as number,
    filename: row[at + 2] as string,
    size: row[at + 3] as number,
    pinned: row[at + 4] === 1,
    row: columns === 'sizes' ? undefined : row,
  };
}

function isHit(row: RowArray): boolean {
  return row.at(-1) === 1;
}
