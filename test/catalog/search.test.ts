/** Every query finds what it says, indexed or not: compared with a reader of records that knows no index. */
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CatalogQuery } from '../../src/storage/catalog/catalog.ts';
import { settingsOf } from '../../src/storage/catalog/generation-settings.ts';
import { matches } from '../../src/storage/catalog/search-match.ts';
import { parseQuery } from '../../src/storage/catalog/search-query.ts';
import { CatalogReader } from '../../src/storage/catalog/sqlite/reader.ts';
import { full, seed } from '../support/scale.ts';
import { createWith, recordOf, T0, temporaryCatalog } from './catalogs.ts';
import { type Example, found } from './search-model.ts';
import { anyQuery, exampleOf, HOSTILE, randomFrom } from './searched-examples.ts';

const COUNT = 500;
const RANDOM_QUERIES = full ? 2000 : 300;
const random = randomFrom(seed);
const examples = Array.from({ length: COUNT }, (_, id) => exampleOf(id, random));
const searched = examples.map((example) => ({
  example,
  image: { ...example.record, settings: settingsOf(example.record) },
}));

function openReader(records: Example[]): { path: string; reader: CatalogReader; release: () => void } {
  const { path, release } = temporaryCatalog();
  createWith(
    path,
    records.map(({ record }) => record),
  );
  const reader = new CatalogReader({ path });
  reader.open();
  return {
    path,
    reader,
    release: () => {
      reader.close();
      release();
    },
  };
}

function listed(reader: CatalogReader, query: Partial<CatalogQuery>): string[] {
  const steps = reader.pageSizes({ order: 'oldest', ...query }, { limit: COUNT });
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value.map(({ filename }) => filename);
  }
}

function namesOf(some: readonly Example[]): string[] {
  return some
    .map(({ record }) => record)
    .sort((a, b) => a.timestamp - b.timestamp || (a.filename < b.filename ? -1 : 1))
    .map(({ filename }) => filename);
}

describe('the catalog', () => {
  let reader: CatalogReader;
  let path: string;
  let release: () => void;
  beforeAll(() => {
    ({ path, reader, release } = openReader(examples));
  });
  afterAll(() => release());

  function expectSame(query: string): void {
    const expected = namesOf(found(query, examples));
    expect(listed(reader, { query }), query).toEqual(expected);
    const condition = parseQuery(query);
    const matching = searched.filter(({ image }) => matches(image, condition));
    expect(namesOf(matching.map(({ example }) => example)), query).toEqual(expected);
  }

  it.each(HOSTILE.map((query) => [query.slice(0, 40), query]))('answers %j as it reads', (_name, query) => {
    expectSame(query);
  });

  it(`answers ${RANDOM_QUERIES} random queries`, () => {
    const numbers: number[] = [];
    for (let at = 0; at < RANDOM_QUERIES; at += 1) {
      const query = anyQuery(random, examples);
      expectSame(query);
      numbers.push(found(query, examples).length);
    }
    // Neither nothing nor everything.
    expect(numbers.filter((number) => number > 0 && number < COUNT).length).toBeGreaterThan(RANDOM_QUERIES / 4);
  });

  it('tests images where it has no index of them, and asks to wait for their settings', () => {
    const db = new DatabaseSync(path);
    const middle = examples[COUNT / 2]!.record.timestamp;
    db.exec(`INSERT OR REPLACE INTO store VALUES ('indexed_from', ${middle})`);
    for (let at = 0; at < 50; at += 1) {
      const query = anyQuery(random, examples);
      try {
        expect(listed(reader, { query }), query).toEqual(namesOf(found(query, examples)));
      } catch (error) {
        if ((error as { reason?: string }).reason !== 'CATALOG_REBUILDING') throw error;
        expect(query).toMatch(/negative|lora|sampler|scheduler|seed|steps|cfg|has/i);
      }
    }
    expect(() => listed(reader, { query: 'seed:42' })).toThrow(
      expect.objectContaining({ message: `the catalog reads settings of older images: 500 of 500 done` }),
    );
    db.exec("DELETE FROM store WHERE name = 'indexed_from'");
    db.close();
  });

  it('gives the settings of each image', () => {
    const steps = reader.page({ order: 'oldest' }, { limit: COUNT, maxBytes: 1 << 30 });
    for (let step = steps.next(); ; step = steps.next()) {
      if (!step.done) continue;
      const byName = new Map(examples.map(({ record, generation }) => [record.filename, generation]));
      for (const { filename, generation } of step.value.records)
        expect(generation ?? {}, filename).toEqual(byName.get(filename));
      break;
    }
  });

  it('combines a query with filters', () => {
    const filters = { category: 'portrait', tags: ['keeper'], pinned: true };
    const isWithin = ({ record }: Example) =>
      record.category === 'portrait' && record.tags.includes('keeper') && record.pinned;
    for (const query of ['', 'fox', '-fox', 'type:png OR type:gif', 'category:PORTRAIT', 'after:2024-09-28']) {
      const expected = namesOf(found(query, examples).filter(isWithin));
      expect(listed(reader, { query, ...filters }), query).toEqual(expected);
    }
  });
});

describe('a query', () => {
  const one = (prompt: string, given = {}) => {
    const record = recordOf(7, { prompt, timestamp: T0, ...given });
    return (query: string) => matches({ ...record, settings: settingsOf(record) }, parseQuery(query));
  };

  it.each([
    [
      'a portrait of a sailor',
      ['sail', 'sailor', '"a sailor"', '-fox', 'fox OR sailor'],
      ['-sailor', 'ilor', '"portrait sailor"'],
    ],
    [
      '(masterpiece:1.2), best <lora:ink:0.8>',
      ['(masterpiece:1.2)', '<lora:ink:0.8>', 'lora:ink'],
      ['(masterpiece:1.3)'],
    ],
    ['Łódź, Ørsted, straße', ['lodz', 'orsted', 'STRASSE', 'łód'], ['lodzz']],
    ['مُحَمَّد', ['محمد', 'محم'], ['حمد']],
    ['붉은고양이', ['고양', '고양이', '붉은고양이'], ['양고']],
    ['a 🦊 in snow', ['🦊', '-🐱'], ['🐱', '-🦊']],
    ['x-ray', ['x', 'x-ray', 'ray'], ['-ray', 'y']],
    ['a sign OR a door', ['OR', 'sign OR'], ['OR cat']],
  ])('finds %j by what it says', (prompt, finds, misses) => {
    const matching = one(prompt);
    for (const query of finds) expect(matching(query), query).toBe(true);
    for (const query of misses) expect(matching(query), query).toBe(false);
  });

  it('finds an image by its name, its id, its bytes and its settings, and no word of the negative prompt', () => {
    const parametersJson = '{"seed":18446744073709551615,"steps":28,"cfg":3.5,"negative_prompt":"blurry hands"}';
    const matching = one('a fox', { parametersJson, model: '' });
    for (const query of [
      ...['000007', '20240927_141522', '20240927_141522_unk', 'sha256:aaaaaaaa', 'seed:18446744073709551615'],
      ...[
        'steps:28',
        'steps:20..30',
        'cfg:>=3.5',
        'negative:blur',
        'negative:"blurry hands"',
        'model:unknown',
        'size:1024x768',
      ],
      ...['size:1024', 'after:2024-09-27', '-before:2024-09-27', 'type:png', '-is:pinned', '-has:workflow'],
    ])
      expect(matching(query), query).toBe(true);
    for (const query of [
      'blurry',
      'seed:18446744073709551616',
      'steps:<=27',
      'before:2024-09-27',
      'size:768',
      'seed:1844',
    ])
      expect(matching(query), query).toBe(false);
  });
});
