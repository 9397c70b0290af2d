/** Finds the images that match a query, in its order, with pauses that let other calls run. */
import type { SQLInputValue } from 'node:sqlite';
import { isModelSlug, modelSlug } from '../../domain/naming.ts';
import type { Position } from '../../domain/requests.ts';
import type { CatalogQuery, ImageSize } from '../catalog.ts';
import { matchExpression, matchesTerms, searchTerms } from '../search-text.ts';
import type { Connection } from './connection.ts';

/**
 * Words and tags with at most this many images are looked up and sorted; for others an index is walked in order and
 * each image tested.
 */
const RARE_IMAGES = 5000;
const SLICE_MS = 10;
const MAX_KNOWN_BROAD = 1000;

export const PAUSE: unique symbol = Symbol('pause');

export interface Hit extends ImageSize {
  seq: number;
}

export type Start = Position & { inclusive?: boolean };

/** Part of a SQL statement and the values of its parameters. */
interface Fragment {
  sql: string;
  values: SQLInputValue[];
}

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
  /** Searches that had many results, which are not counted again. */
  readonly #broad = new Set<string>();

  constructor(db: Connection) {
    this.#db = db;
  }

  /**
   * Yields the hits after `after`. At a hit a read transaction is open, at a PAUSE none is. A query that is not blank
   * and has no letter or digit finds nothing.
   */
  *hits(query: CatalogQuery, after: Start | undefined): Generator<Hit | typeof PAUSE, void> {
    const terms = searchTerms(query.query ?? '');
    if (terms.length === 0 && query.query?.trim()) return;
    const plan = this.#plan(query, terms);
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
    let deadline: number | undefined;
    for (const row of this.#db.iterate(sql, ...values)) {
      deadline ??= performance.now() + SLICE_MS;
      const hit = toHit(row);
      if (row.hit === 1 && this.#promptMatches(hit.seq, plan.terms)) yield hit;
      if (performance.now() > deadline) return { timestamp: hit.timestamp, filename: hit.filename };
    }
    return undefined;
  }

  #promptMatches(seq: number, terms: string[]): boolean {
    if (terms.length === 0) return true;
    return matchesTerms(this.#db.value('SELECT prompt FROM images WHERE seq = ?', seq) as string, terms);
  }

  #plan(query: CatalogQuery, terms: string[]): Plan {
    const { order, start = Number.MIN_SAFE_INTEGER, end = Number.MAX_SAFE_INTEGER } = query;
    const all = { order, start, end, test: filterTest(query), terms };
    const rare = this.#rareTerms(terms);
    if (rare !== undefined) return { ...all, source: 'NOT INDEXED', scope: rare, terms: [] };
    const tag = (query.tags ?? []).find((candidate) => this.#isRareTag(candidate));
    if (tag !== undefined) {
      const scope = { sql: 'seq IN (SELECT seq FROM image_tags WHERE tag = ?)', values: [tag] };
      return { ...all, source: 'NOT INDEXED', scope };
    }
    return { ...all, ...indexWalk(query) };
  }

  #rareTerms(terms: string[]): Fragment | undefined {
    if (terms.length === 0) return undefined;
    const expression = matchExpression(terms);
    if (this.#broad.has(expression)) return undefined;
    const count = this.#db.value(
      `SELECT count(*) FROM (SELECT 1 FROM prompts WHERE prompts MATCH ? LIMIT ${RARE_IMAGES + 1})`,
      expression,
    ) as number;
    if (count <= RARE_IMAGES)
      return { sql: 'seq IN (SELECT rowid FROM prompts WHERE prompts MATCH ?)', values: [expression] };
    if (this.#broad.size === MAX_KNOWN_BROAD) this.#broad.clear();
    this.#broad.add(expression);
    return undefined;
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
