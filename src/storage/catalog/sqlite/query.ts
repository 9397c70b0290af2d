/** Finds the images that match a query, in its order, with pauses that let other calls run. */
import { isModelSlug, modelSlug } from '../../domain/naming.ts';
import type { Position } from '../../domain/requests.ts';
import type { CatalogQuery, ImageSize } from '../catalog.ts';
import { matchesTerms, searchTerms } from '../search-text.ts';
import type { Connection, Fragment } from './connection.ts';
import { PAUSE, Slice } from './pause.ts';
import { RARE_IMAGES, TextLookup } from './text-lookup.ts';

export interface Hit extends ImageSize {
  seq: number;
}

export type Start = Position & { inclusive?: boolean };

interface Plan {
  order: CatalogQuery['order'];
  start: number;
  end: number;
  /** Which rows are read: the parts after FROM and WHERE. */
  source: string;
  scope: Fragment;
  /** Which of them are hits. */
  test: Fragment;
  /** Terms that the prompts must still be tested for. */
  terms: string[];
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
   * Yields the hits after `after`. At a hit a read transaction is open, at a PAUSE none is. A query that is not blank
   * and has no letter or digit finds nothing.
   */
  *hits(query: CatalogQuery, after: Start | undefined): Generator<Hit | typeof PAUSE, void> {
    const terms = searchTerms(query.query ?? '');
    if (terms.length === 0 && query.query?.trim()) return;
    const plan = yield* this.#plan(query, terms);
    let from = after;
    for (;;) {
      from = yield* this.#slice(plan, from);
      if (from === undefined) return;
      yield PAUSE;
    }
  }

  /** Returns where to continue once its time is over; undefined at the end. */
  *#slice(plan: Plan, after: Start | undefined): Generator<Hit, Start | undefined> {
    const { sql, values } = selection(plan, after);
    let slice: Slice | undefined;
    for (const row of this.#db.iterate(sql, ...values)) {
      slice ??= new Slice();
      const hit = toHit(row);
      if (row.hit === 1 && this.#promptMatches(hit.seq, plan.terms)) yield hit;
      if (slice.isOver) return { timestamp: hit.timestamp, filename: hit.filename };
    }
    return undefined;
  }

  #promptMatches(seq: number, terms: string[]): boolean {
    if (terms.length === 0) return true;
    return matchesTerms(this.#db.value('SELECT prompt FROM images WHERE seq = ?', seq) as string, terms);
  }

  *#plan(query: CatalogQuery, terms: string[]): Generator<typeof PAUSE, Plan> {
    const { order, start = Number.MIN_SAFE_INTEGER, end = Number.MAX_SAFE_INTEGER } = query;
    const all = { order, start, end, test: filterTest(query), terms };
    const lookup = yield* this.#lookup.find(terms);
    if (lookup !== undefined) return { ...all, source: 'NOT INDEXED', scope: lookup.scope, terms: lookup.untested };
    const tag = (query.tags ?? []).find((candidate) => this.#isRareTag(candidate));
    if (tag !== undefined) {
      const scope = { sql: 'seq IN (SELECT seq FROM image_tags WHERE tag = ?)', values: [tag] };
      return { ...all, source: 'NOT INDEXED', scope };
    }
    return { ...all, ...indexWalk(query) };
  }

  #isRareTag(tag: string): boolean {
    const sql = `SELECT count(*) FROM (SELECT 1 FROM image_tags WHERE tag = ? LIMIT ${RARE_IMAGES + 1})`;
    return (this.#db.value(sql, tag) as number) <= RARE_IMAGES;
  }
}

/**
 * One row value bounds each side: SQLite could walk the index from a second bound on `timestamp` instead of from the
 * position.
 */
function selection({ order, start, end, source, scope, test }: Plan, after: Start | undefined): Fragment {
  let [lower, upper]: Start[] = [
    { timestamp: start, filename: '', inclusive: true },
    { timestamp: end, filename: '' },
  ];
  if (after !== undefined && order === 'oldest' && !precedes(after, lower!)) lower = after;
  if (after !== undefined && order === 'newest' && precedes(after, upper!)) upper = after;
  const direction = order === 'oldest' ? 'ASC' : 'DESC';
  const sql = `
    SELECT seq, timestamp, filename, size, pinned, (${test.sql}) AS hit
    FROM images ${source}
    WHERE delete_time IS NULL AND ${scope.sql}
      AND (timestamp, filename) ${lower!.inclusive ? '>=' : '>'} (?, ?)
      AND (timestamp, filename) ${upper!.inclusive ? '<=' : '<'} (?, ?)
    ORDER BY timestamp ${direction}, filename ${direction}`;
  const bounds = [lower!.timestamp, lower!.filename, upper!.timestamp, upper!.filename];
  return { sql, values: [...test.values, ...scope.values, ...bounds] };
}

function precedes(a: Position, b: Position): boolean {
  return a.timestamp < b.timestamp || (a.timestamp === b.timestamp && a.filename < b.filename);
}

function indexWalk({ model, category, pinned }: CatalogQuery): Pick<Plan, 'source' | 'scope'> {
  if (model) {
    return { source: 'INDEXED BY images_model', scope: { sql: 'model_slug = ?', values: [modelSlug(model)] } };
  }
  if (category) {
    return {
      source: 'INDEXED BY images_category',
      scope: { sql: "category = ? AND category <> ''", values: [category] },
    };
  }
  if (pinned) return { source: 'INDEXED BY images_pinned', scope: { sql: 'pinned = 1', values: [] } };
  return { source: 'INDEXED BY images_time', scope: { sql: 'TRUE', values: [] } };
}

function filterTest({ model, category, pinned, tags = [] }: CatalogQuery): Fragment {
  const tests: Fragment[] = tags.map((tag) => ({
    sql: 'EXISTS (SELECT 1 FROM image_tags WHERE tag = ? AND image_tags.seq = images.seq)',
    values: [tag],
  }));
  if (model)
    tests.push(isModelSlug(model) ? { sql: 'model_slug = ?', values: [model] } : { sql: 'model = ?', values: [model] });
  if (category) tests.push({ sql: 'category = ?', values: [category] });
  if (pinned !== undefined) tests.push({ sql: 'pinned = ?', values: [Number(pinned)] });
  return {
    sql: tests.map((test) => test.sql).join(' AND ') || 'TRUE',
    values: tests.flatMap((test) => test.values),
  };
}

function toHit(row: Record<string, unknown>): Hit {
  const { seq, timestamp, filename, size, pinned } = row;
  return { seq, timestamp, filename, size, pinned: pinned === 1 } as Hit;
}
