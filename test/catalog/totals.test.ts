/** What a catalog counts: the same as a reader of all records, however it is counted. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CatalogQuery, Grouping } from '../../src/storage/catalog/catalog.ts';
import { Connection } from '../../src/storage/catalog/sqlite/connection.ts';
import { PAUSE } from '../../src/storage/catalog/sqlite/pause.ts';
import type { Walk } from '../../src/storage/catalog/sqlite/query.ts';
import { CatalogReader } from '../../src/storage/catalog/sqlite/reader.ts';
import { TotalsReader } from '../../src/storage/catalog/sqlite/totals.ts';
import { CatalogWriter } from '../../src/storage/catalog/sqlite/writer.ts';
import { Tally } from '../../src/storage/catalog/tally.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';
import type { GroupBy } from '../../src/storage/domain/requests.ts';
import { createWith, deleteOf, insertOf, recordOf, STORE_ID, T0, temporaryCatalog } from './catalogs.ts';
import { createOlder } from './older-catalog.ts';

const HOUR = 3_600_000;
const MODELS = ['sdxl', 'FLUX.1 [dev]', 'sd-1-5', ''];
/** Around both changes of the clocks in Berlin in 2024, and on days between. */
const TIMES = [Date.UTC(2024, 2, 30, 20), Date.UTC(2024, 9, 26, 20), T0];
const ZONES = [undefined, 'Europe/Berlin', 'Asia/Kolkata', 'America/St_Johns'];
const RECORDS: ImageRecord[] = Array.from({ length: 600 }, (_, id) =>
  recordOf(id, {
    timestamp: TIMES[id % 3]! + Math.floor(id / 3) * (HOUR / 2) + (id % 7),
    model: MODELS[id % 4]!,
    category: id % 5 === 0 ? 'Füchse' : '',
    tags: id % 3 === 0 ? ['fox', `tag ${id % 10}`] : [],
    prompt: id % 2 === 0 ? 'a red fox <lora:Ink Style:0.8>' : 'a blue owl',
    pinned: id % 11 === 0,
  }),
);

let path: string;
let release: () => void;
beforeEach(() => {
  ({ path, release } = temporaryCatalog());
});
afterEach(() => release());

/** Of the catalog at `path`, opened for it. */
function totalsOf(query: Partial<CatalogQuery>, grouping: Partial<Grouping> = {}) {
  const reader = new CatalogReader({ path });
  reader.open();
  try {
    return counted(reader, query, grouping);
  } finally {
    reader.close();
  }
}

function counted(reader: CatalogReader, query: Partial<CatalogQuery>, grouping: Partial<Grouping>) {
  const steps = reader.totals({ order: 'newest', ...query }, { limit: 10_000, ...grouping });
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The same, record by record. */
function expected(records: readonly ImageRecord[], query: Partial<CatalogQuery>, { by, timeZone }: Partial<Grouping>) {
  const { start = -Infinity, end = Infinity, model, category, tags = [], pinned, query: words } = query;
  const found = records.filter(
    (record) =>
      record.timestamp >= start &&
      record.timestamp < end &&
      (model === undefined || record.model === model) &&
      (category === undefined || record.category === category) &&
      (pinned === undefined || record.pinned === pinned) &&
      (words === undefined || record.prompt.includes(words)) &&
      tags.every((tag) => record.tags.includes(tag)),
  );
  const groups = new Map<string, { count: number; bytes: number }>();
  for (const record of by === undefined ? [] : found) {
    for (const name of namesOf(record, by!, timeZone)) {
      const { count, bytes } = groups.get(name) ?? { count: 0, bytes: 0 };
      groups.set(name, { count: count + 1, bytes: bytes + record.size });
    }
  }
  const times = found.map(({ timestamp }) => timestamp);
  return {
    count: found.length,
    bytes: found.reduce((sum, { size }) => sum + size, 0),
    ...(found.length > 0 && { oldest: Math.min(...times), newest: Math.max(...times) }),
    groups: Object.fromEntries(groups),
  };
}

const dates = new Map(ZONES.map((timeZone = 'UTC') => [timeZone, new Intl.DateTimeFormat('sv-SE', { timeZone })]));

function namesOf({ timestamp, model, category, tags, prompt }: ImageRecord, by: GroupBy, timeZone = 'UTC'): string[] {
  const day = dates.get(timeZone)!.format(timestamp);
  switch (by) {
    case 'day':
      return [day];
    case 'month':
      return [day.slice(0, 7)];
    case 'model':
      return [model];
    case 'category':
      return [category];
    case 'tag':
      return tags.length > 0 ? tags : [''];
    case 'lora':
      return [prompt.includes('<lora:') ? 'Ink Style' : ''];
  }
}

function plain({ groups, more, ...sums }: ReturnType<typeof totalsOf>) {
  expect(more).toBe(false);
  expect(groups.filter(({ rest }) => rest)).toEqual([]);
  return { ...sums, groups: Object.fromEntries(groups.map(({ name, count, bytes }) => [name, { count, bytes }])) };
}

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const anyTime = fc
  .tuple(fc.constantFrom(...TIMES), fc.nat(200))
  .map(([time, halves]) => time + halves * (HOUR / 2) + 3);
const anyCount = fc.record({
  query: fc.record({
    model: maybe(fc.constantFrom(...MODELS.slice(0, 3))),
    category: maybe(fc.constant('Füchse')),
    tags: maybe(fc.subarray(['fox', 'tag 3'])),
    pinned: maybe(fc.boolean()),
    query: maybe(fc.constantFrom('fox', 'owl')),
    start: maybe(anyTime),
    end: maybe(anyTime),
  }),
  grouping: fc.record({
    by: maybe(fc.constantFrom<GroupBy>('day', 'month', 'model', 'category', 'tag', 'lora')),
    timeZone: fc.constantFrom(...ZONES),
  }),
});

it('counts what a reader of all records counts, by filters and groups of every kind', () => {
  createWith(path, RECORDS);
  const reader = new CatalogReader({ path });
  reader.open();
  fc.assert(
    fc.property(anyCount, ({ query, grouping }) => {
      expect(plain(counted(reader, query, grouping))).toEqual(expected(RECORDS, query, grouping));
    }),
  );
  reader.close();
});

it.each(ZONES)('counts the whole store by the days and months of %s', (timeZone) => {
  createWith(path, RECORDS);
  for (const by of ['day', 'month'] as const) {
    expect(plain(totalsOf({}, { by, timeZone }))).toEqual(expected(RECORDS, {}, { by, timeZone }));
  }
});

it('lists the newest days, and the groups of most images, then the rest', () => {
  createWith(path, RECORDS);
  const days = totalsOf({}, { by: 'day', limit: 2 }).groups;
  expect(days.map(({ name, rest }) => [name, rest])).toEqual([
    ['2024-10-30', false],
    ['2024-10-29', false],
    ['', true],
  ]);
  expect(days.reduce((sum, { count }) => sum + count, 0)).toBe(RECORDS.length);
  const tags = totalsOf({}, { by: 'tag', limit: 2 }).groups;
  expect(tags).toMatchObject([
    { name: '', count: 400 },
    { name: 'fox', count: 200 },
    { name: '', count: 200, rest: true },
  ]);
});

it('keeps few groups in memory where their names are long, and answers with those of most images', () => {
  const tally = new Tally({ by: 'model', limit: 3 });
  for (let id = 0; id < 20_000; id += 1) {
    tally.addToGroup(`${id} `.padEnd(1024, 'long'), { count: 1 + (id % 10_000), bytes: 1 });
    if (id % 500 === 0) tally.sumUp();
    expect(tally.groupCount).toBeLessThanOrEqual(5000);
  }
  const { groups } = tally.result(false);
  expect(groups.map(({ name, count }) => [name.split(' ')[0], count])).toEqual([
    ['19999', 10_000],
    ['9999', 10_000],
    ['19998', 9999],
    ['', 100_010_000 - 29_999],
  ]);
});

it('completes the names of groups, whatever their case', () => {
  createWith(path, RECORDS);
  const names = (by: GroupBy, startsWith: string) => totalsOf({}, { by, startsWith }).groups.map(({ name }) => name);
  expect(names('tag', 'FO')).toEqual(['fox']);
  expect(names('category', 'fu')).toEqual(['Füchse']);
  expect(names('model', 'flux.')).toEqual(['FLUX.1 [dev]']);
  expect(names('tag', 'none')).toEqual([]);
});

it('ends a walk that takes long with the newest images, and lets other calls run meanwhile', () => {
  createWith(path);
  const connection = new Connection(path, true);
  connection.open();
  const walk = {
    *hits() {
      for (let at = 0; ; at += 1) {
        yield { seq: at, timestamp: T0 - at, filename: '', size: 10, pinned: false };
        yield PAUSE;
      }
    },
  };
  const steps = new TotalsReader(connection, walk as unknown as Walk).totals(
    { order: 'newest', query: 'fox' },
    { by: 'month', limit: 1 },
  );
  const pauses = [...Array(7)].map(() => steps.next().done);
  expect(pauses).toEqual(Array(7).fill(false));
  const groups = [{ name: '2024-09', count: 8, bytes: 80, rest: false }];
  const value = { count: 8, bytes: 80, oldest: T0 - 7, newest: T0, groups, more: true };
  expect(steps.next()).toEqual({ done: true, value });
  connection.close();
});

it('counts labels right where their sums are left to later', () => {
  const writer = new CatalogWriter({ path, storeId: STORE_ID, indexLater: true });
  writer.create();
  writer.load(RECORDS);
  writer.seal();
  const again = new CatalogWriter({ path, storeId: STORE_ID });
  again.open();
  for (let more = true; more; ) {
    more = again.indexOlder() || again.countOlder();
    for (const by of ['tag', 'lora'] as const)
      expect(plain(totalsOf({}, { by }))).toEqual(expected(RECORDS, {}, { by }));
  }
  again.close(true);
});

describe('of an older version', () => {
  const tagsOf = () => {
    const { groups, more } = totalsOf({}, { by: 'tag' });
    return { groups: Object.fromEntries(groups.map(({ name, count }) => [name, count])), more };
  };

  it('counts tags before, while and after they are counted once, beside saves and deletes', () => {
    const many = Array.from({ length: 1200 }, (_, id) =>
      recordOf(id, { timestamp: T0 + Math.floor(id / 50), tags: id % 2 === 0 ? ['even'] : [] }),
    );
    createOlder(path, many);
    const writer = new CatalogWriter({ path, storeId: STORE_ID });
    writer.open();
    expect(tagsOf()).toEqual({ groups: { even: 600, '': 600 }, more: false });
    for (let steps = 0; writer.countOlder(); steps += 1) {
      const [old, young] = [recordOf(2000 + steps, { timestamp: T0 - 5, tags: ['new'] }), recordOf(3000 + steps)];
      writer.commit([insertOf(old), insertOf(young), deleteOf(many[steps * 2]!), deleteOf(many[1199 - steps * 2]!)]);
      const even = 600 - steps - 1;
      expect(tagsOf()).toEqual({ groups: { even, new: steps + 1, '': 600 }, more: false });
    }
    const before = tagsOf();
    expect(before.groups.new).toBeGreaterThan(1);
    writer.close(true);
    expect(tagsOf()).toEqual(before);
  });
});
