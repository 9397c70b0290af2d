/** No list, search or cleanup reads or sorts more than it returns: how SQLite carries out every statement of a walk. */
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CatalogQuery } from '../../src/storage/catalog/catalog.ts';
import { Connection } from '../../src/storage/catalog/sqlite/connection.ts';
import { type Start, Walk } from '../../src/storage/catalog/sqlite/query.ts';
import { full, seed } from '../support/scale.ts';
import { createWith, recordOf, T0, temporaryCatalog } from './catalogs.ts';

const COUNT = 400;
/** What a walk may do: step through an index or the hits of the text index in order, and look rows up. */
const ALLOWED = [
  /^SEARCH images USING (COVERING )?INDEX images_(time|model|category|pinned) \(/,
  /^SEARCH images USING INTEGER PRIMARY KEY \(rowid=\?\)$/,
  /^SEARCH (settings|revisions|expiries|thumb_hashes) USING INTEGER PRIMARY KEY \(rowid=\?\)$/,
  /^SEARCH timeline USING INTEGER PRIMARY KEY \(rowid=\?\)$/,
  // A match, from one place in time to another.
  /^SCAN prompts VIRTUAL TABLE INDEX \d+:M\d[<>]+$/,
  // The words that begin as one of the query does, up to 65 of them, and their occurrences, up to a bound.
  /^SCAN prompt_words VIRTUAL TABLE INDEX \d+:/,
  /^(CO-ROUTINE|MATERIALIZE|SCAN|RECURSIVE STEP|SETUP|UNION ALL|SCAN CONSTANT ROW|(CORRELATED )?SCALAR SUBQUERY \d+)( words| \(subquery-1\))?$/,
  // The tags of one image.
  /^SCAN json_each VIRTUAL TABLE INDEX \d+:$/,
  /^SEARCH store USING PRIMARY KEY \(name=\?\)$/,
  /^SEARCH crowded USING INTEGER PRIMARY KEY \(rowid[<>]\?\)$/,
  /^SEARCH crowded$/,
];

let path: string;
let release: () => void;
let db: DatabaseSync;
beforeAll(() => {
  ({ path, release } = temporaryCatalog());
  const images = Array.from({ length: COUNT }, (_, id) => {
    const prompt = ['fox red', 'fox', 'a red 猫の家'][id % 3]!;
    return recordOf(id, {
      prompt: `${prompt} w${id}`,
      model: `m${id % 2}`,
      category: id % 2 ? 'c' : '',
      tags: ['t'],
      pinned: id % 5 === 0,
    });
  });
  createWith(path, images);
  db = new DatabaseSync(path);
});
afterAll(() => {
  db.close();
  release();
});

/** Runs a walk to its end, and returns its statements. */
function statementsOf(
  query: CatalogQuery,
  after: Start | undefined,
  wanted: 'records' | 'rows' | 'sizes',
): Set<string> {
  const seen = new Set<string>();
  const connection = new Connection(path, true);
  connection.open();
  const recording = new Proxy(connection, {
    get: (target, name: keyof Connection) => {
      const value = target[name];
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (['get', 'getArray', 'value', 'all', 'iterate', 'iterateArrays'].includes(name)) seen.add(args[0] as string);
        return (value as (...args: unknown[]) => unknown).apply(target, args);
      };
    },
  });
  for (const _ of new Walk(recording).hits(query, after, wanted));
  connection.close();
  return seen;
}

function planOf(sql: string): string[] {
  return db
    .prepare(`EXPLAIN QUERY PLAN ${sql}`)
    .all()
    .map(({ detail }) => detail as string);
}

const QUERIES = [
  ...[undefined, 'fox', 'fox red', 'w', '猫の', 'fox w', 'none', 'fox red w1 w2 w3 w4 w5 w6 w7 w8'],
  ...[
    '-fox',
    '"fox red" OR w12',
    'model:m1 size:>=1 -is:pinned',
    'after:2024-09-27 w1',
    'model:m1 after:2024-09-27 before:2024-09-28',
  ],
];
const FILTERS: Partial<CatalogQuery>[] = [
  {},
  { model: 'm1' },
  { model: 'M 1' },
  { category: 'c' },
  { pinned: true },
  { pinned: false },
  { tags: ['t'] },
  { tags: ['t', 'u'] },
  { model: 'm1', category: 'c', tags: ['t'], pinned: true },
];

const STATES: [string, () => void][] = [
  ['is complete', () => {}],
  ['is being filled', () => db.exec(`INSERT OR REPLACE INTO store VALUES ('indexed_from', ${T0 + 200_000})`)],
  ['has crowded timestamps', () => db.exec(`INSERT INTO crowded VALUES (${T0 + 100_000}), (${T0 + 300_000})`)],
];

/** One of them, by the seed, unless all are wanted. */
it.each(full ? STATES : [STATES[seed % STATES.length]!])('while the text index %s', (_name, prepare) => {
  prepare();
  db.exec("CREATE VIRTUAL TABLE IF NOT EXISTS temp.prompt_words USING fts5vocab(main, 'prompts', 'instance')");
  const statements = new Set<string>();
  const middle = recordOf(COUNT / 2);
  for (const order of ['newest', 'oldest'] as const) {
    for (const filter of FILTERS) {
      for (const query of QUERIES) {
        for (const after of [undefined, middle, { ...middle, inclusive: true }]) {
          for (const range of [{}, { start: T0 + 50_000, end: T0 + 350_000 }]) {
            const given = { order, ...filter, ...range, ...(query !== undefined && { query }) };
            for (const sql of statementsOf(given, after, query ? 'records' : 'sizes')) statements.add(sql);
          }
        }
        // Rows differ from records by their columns alone.
        for (const sql of statementsOf({ order, ...filter, query }, undefined, 'rows')) statements.add(sql);
      }
    }
  }
  expect(statements.size).toBeGreaterThan(40);
  const steps = new Set([...statements].flatMap(planOf));
  expect([...steps].filter((step) => !ALLOWED.some((allowed) => allowed.test(step)))).toEqual([]);
});
