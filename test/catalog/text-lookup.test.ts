/** How little of the text index a query reads, whatever its terms are, and that it finds what it should. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testOf } from '../../src/storage/catalog/search-match.ts';
import { parseQuery } from '../../src/storage/catalog/search-query.ts';
import { Connection } from '../../src/storage/catalog/sqlite/connection.ts';
import { CatalogReader } from '../../src/storage/catalog/sqlite/reader.ts';
import { type Lookup, TextLookup } from '../../src/storage/catalog/sqlite/text-lookup.ts';
import { createWith, recordOf, temporaryCatalog } from './catalogs.ts';

const COUNT = 6000;
const SYMBOLS = [...'abcdefghijklmnopqrstuvwxyz0123456789'];
/** Every prompt begins with these; the rest are words that a few share. */
const FREQUENT = SYMBOLS.map((symbol) => `${symbol}ll`);

function promptOf(id: number): string {
  const own = [`x${id % 10}`, `every${id % 100}th`, `only${id}`, id % 2 === 0 ? '雪 の 中の狐' : '雪の狐'];
  return [...FREQUENT, ...own].join(' ');
}

describe('a query', () => {
  let path: string;
  let release: () => void;
  let db: Connection;
  let reader: CatalogReader;

  beforeAll(() => {
    ({ path, release } = temporaryCatalog());
    createWith(
      path,
      Array.from({ length: COUNT }, (_, id) => recordOf(id, { prompt: promptOf(id) })),
    );
    db = new Connection(path, true);
    db.open();
    reader = new CatalogReader({ path });
    reader.open();
  });
  afterAll(() => {
    db.close();
    reader.close();
    release();
  });

  /** Looks the query up in a connection that counts what it reads. */
  function lookUp(query: string): { lookup: Lookup | 'nothing' | undefined; statements: number; rows: number } {
    const work = { statements: 0, rows: 0 };
    const counting = {
      exec: (sql: string) => db.exec(sql),
      value: (sql: string, ...values: string[]) => {
        const count = db.value(sql, ...values) as number;
        work.statements += 1;
        work.rows += count;
        return count;
      },
      all: (sql: string, ...values: string[]) => {
        const rows = db.all(sql, ...values);
        work.statements += 1;
        work.rows += rows.length;
        return rows;
      },
    };
    const steps = new TextLookup(counting as Connection).find(parseQuery(query));
    for (;;) {
      const step = steps.next();
      if (step.done) return { lookup: step.value, ...work };
    }
  }

  const expressionOf = (query: string) => (lookUp(query).lookup as Lookup).expression;

  it.each([
    ['one letter', () => 'a'],
    ['all letters and digits', () => SYMBOLS.join(' ')],
    ['4 kB of frequent words', () => Array.from({ length: 1000 }, (_, at) => FREQUENT[at % 36]).join(' ')],
    ['4 kB of rare words', () => Array.from({ length: 500 }, (_, at) => `only${at}`).join(' ')],
    ['4 kB of a language without spaces', () => '雪の中の狐'.repeat(260)],
    ['4 kB of its characters', () => [...'雪の中の狐'.repeat(200)].join(' ')],
  ])('of %s reads a few words, each up to a bound', (_name, query) => {
    const { statements, rows } = lookUp(query());
    expect(statements).toBeLessThanOrEqual(12);
    expect(rows).toBeLessThanOrEqual(12 * 20_001);
  });

  it('asks for every word that begins as its own do', () => {
    expect(expressionOf('x7')).toBe('("x7")');
    expect(expressionOf('x')).toBe('"X"');
    const begun = Array.from({ length: 10 }, (_, at) => `"every1${at}th"`).join(' OR ');
    expect(expressionOf('every1')).toBe(`((${begun} OR "every1th") OR "·iEVERY1")`);
    expect(expressionOf('x7 every1th')).toBe('("every1th") AND ("x7")');
    expect(expressionOf('雪の')).toBe('("雪 の")');
    expect(lookUp('雪の中の狐')).toMatchObject({
      lookup: { expression: '"雪 の 中 の"', isExact: false },
    });
  });

  it('asks for none where too many words begin so, unless they are rare together', () => {
    expect(expressionOf('only5')).toBe('"ONLY5" *');
    expect(lookUp('o').lookup).toBeDefined();
  });

  it.each([
    ['alternatives', ' OR '],
    ['what must not be there', ' -'],
  ])('asks for a bounded number of words, whatever many %s', (_name, between) => {
    const query = between.trim() + FREQUENT.concat(Array.from({ length: 500 }, (_, at) => `every${at}`)).join(between);
    const { lookup, statements } = lookUp(query.slice(0, 4096));
    expect(statements).toBeLessThanOrEqual(600);
    const expression = typeof lookup === 'object' ? lookup.expression : '';
    expect(expression.split('"').length / 2).toBeLessThanOrEqual(600);
  });

  it('asks for all but what must not be there, and tests the rest', () => {
    expect(expressionOf('-x7')).toMatch(/^\(\("·yPNG" OR .*\) NOT \("x7"\)\)$/);
    expect(expressionOf('x7 -every1th')).toBe('(("x7") NOT (("every1th")))');
    expect(lookUp('-only1')).toMatchObject({ lookup: { isExact: true } });
    expect(lookUp('x7 after:2024-01-01 OR x8').lookup).toMatchObject({ expression: '("x7")', isExact: false });
  });

  it('asks for nothing where no word begins so', () => {
    expect(lookUp('all nothing').lookup).toBe('nothing');
  });

  it.each([
    ...['only17', 'x7', 'x7 every', 'every17th x7 only', 'x7 x8', 'all bll cll', 'a b c d e f g h i j k l m n o p q'],
    ...[
      '雪',
      '狐',
      '雪の',
      '中の狐',
      '雪の中の狐',
      '雪 中 狐',
      '雪の狐 only5',
      'の中 every50',
      'nothing all',
      'only1 only1',
    ],
    `${FREQUENT.join(' ')} every33th`,
    `${FREQUENT.join(' ')} every33th ex`,
    [...'雪の中の狐', 'only2'].join(' '),
  ])('%j finds the images that have all its terms, in slices', (query) => {
    const found: number[] = [];
    const steps = reader.pageSizes({ order: 'oldest', query }, { limit: COUNT });
    for (let step = steps.next(); ; step = steps.next()) {
      if (!step.done) continue;
      found.push(...step.value.map(({ size }) => size - 1000));
      break;
    }
    const test = testOf(parseQuery(query));
    const expected = Array.from({ length: COUNT }, (_, id) => id).filter((id) =>
      test({ ...recordOf(id, { prompt: promptOf(id) }), settings: { hasWorkflow: false } }),
    );
    expect(found).toEqual(expected);
  });
});
