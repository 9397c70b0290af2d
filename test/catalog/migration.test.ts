/** Catalogs of older versions: right answers while settings and text index are filled, whatever interrupts that. */
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CatalogQuery } from '../../src/storage/catalog/catalog.ts';
import { CatalogReader } from '../../src/storage/catalog/sqlite/reader.ts';
import { openCatalog } from '../../src/storage/catalog/sqlite/worker-catalog.ts';
import { CatalogWriter } from '../../src/storage/catalog/sqlite/writer.ts';
import { bareRecord } from '../../src/storage/domain/record.ts';
import { fill } from '../support/files.ts';
import { canMountTmpfs, openTmpfs } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';
import { full } from '../support/scale.ts';
import { deleteOf, insertOf, openInWorkers, recordOf, STORE_ID, T0, temporaryCatalog } from './catalogs.ts';
import { createOlder, type OlderVersion } from './older-catalog.ts';

const COUNT = 1100;
const DELETED = 10;
/** Several share a timestamp, and the batches of the indexing end within such a group. */
const RECORDS = Array.from({ length: COUNT }, (_, id) =>
  recordOf(id, {
    timestamp: T0 + Math.floor(id / 7) * 1000,
    prompt: id % 3 === 0 ? 'a red fox' : 'foxes, 猫',
    model: `model-${id % 4}`,
    category: id % 2 === 0 ? 'even' : '',
    tags: id % 5 === 0 ? ['five', "it's"] : [],
    pinned: id % 11 === 0,
    parametersJson: id % 4 === 0 ? `{"seed":${id % 8},"steps":20}` : '{}',
  }),
);
/** In their order. */
const LIVE = RECORDS.slice(0, COUNT - DELETED).sort(
  (a, b) => a.timestamp - b.timestamp || (a.filename < b.filename ? -1 : 1),
);
const RED = LIVE.filter(({ prompt }) => prompt.includes('red'));
const PAGE = { limit: COUNT, maxBytes: 1 << 30 };
const isOdd = (id: number) => id % 2 === 1;
/** Queries, and which of the images they find. */
const EXPECTED: [Partial<CatalogQuery>, (id: number) => boolean][] = [
  [{}, () => true],
  [{ query: 'fox' }, () => true],
  [{ query: 'red' }, (id) => id % 3 === 0],
  [{ query: '猫', category: 'even' }, (id) => id % 3 !== 0 && !isOdd(id)],
  [{ tags: ['five'] }, (id) => id % 5 === 0],
  [{ tags: ["it's"], model: 'model-2', query: 'a red' }, (id) => id % 5 === 0 && id % 4 === 2 && id % 3 === 0],
  [{ pinned: true, query: 'foxes' }, (id) => id % 11 === 0 && id % 3 !== 0],
  [{ query: 'none' }, () => false],
  [{ query: 'red model:"model 2" -is:pinned' }, (id) => id % 3 === 0 && id % 4 === 2 && id % 11 !== 0],
];
/** Those that ask for settings, which are read behind the calls. */
const EXPECTED_LATER: typeof EXPECTED = [
  [{ query: 'seed:4' }, (id) => id % 8 === 4],
  [{ query: 'steps:>=20 fox' }, (id) => id % 4 === 0],
];

let path: string;
let release: () => void;
beforeEach(() => {
  ({ path, release } = temporaryCatalog());
});
afterEach(() => release());

function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

const REBUILDING = expect.objectContaining({
  reason: 'CATALOG_REBUILDING',
  message: expect.stringMatching(/^the catalog reads settings of older images: [\d,]+ of 1,09\d done$/),
});

/** Whether they are indexed or not. */
function expectRightAnswers(at: string, live = LIVE): void {
  const reader = new CatalogReader({ path: at });
  reader.open();
  const isFilled = indexedFrom(at) === undefined;
  for (const [query] of isFilled ? [] : EXPECTED_LATER) {
    expect(() => finish(reader.page({ order: 'oldest', ...query }, PAGE))).toThrow(REBUILDING);
  }
  for (const [query, isHit] of [...EXPECTED, ...(isFilled ? EXPECTED_LATER : [])]) {
    const expected = live.filter((record) => isHit(record.size - 1000)).map(({ filename }) => filename);
    const found = finish(reader.page({ order: 'oldest', ...query }, PAGE)).records.map(({ filename }) => filename);
    expect(found, JSON.stringify(query)).toEqual(expected);
    const [after] = expected.slice(expected.length / 2);
    const record = live.find(({ filename }) => filename === after);
    const rest = finish(reader.page({ order: 'newest', ...query }, { ...PAGE, ...(record && { after: record }) }));
    if (record)
      expect(rest.records.map(({ filename }) => filename)).toEqual(
        expected.slice(0, expected.indexOf(after!)).reverse(),
      );
  }
  reader.close();
}

function indexedFrom(at: string): unknown {
  const db = new DatabaseSync(at, { readOnly: true });
  const found = db.prepare("SELECT value FROM store WHERE name = 'indexed_from'").get()?.value;
  db.close();
  return found;
}

function opened(at = path): CatalogWriter {
  const writer = new CatalogWriter({ path: at, storeId: STORE_ID });
  expect(writer.open().state).toBe('open');
  return writer;
}

describe.each<OlderVersion>(full ? [2, 3] : [3])('a catalog of version %i', (version) => {
  beforeEach(() => createOlder(path, RECORDS, DELETED, version));

  it('answers right from the first moment to the last, and is filled behind that', async () => {
    const catalog = await openInWorkers(path);
    const page = await catalog.page({ order: 'oldest', query: 'red' }, PAGE);
    expect(page.records).toMatchObject(RED);
    for (let begun = Date.now(); indexedFrom(path) !== undefined && Date.now() - begun < 20_000; ) await sleep(10);
    expect(indexedFrom(path)).toBeUndefined();
    await catalog.close(true);
    expectRightAnswers(path);
    expect(await openCatalog({ path, storeId: STORE_ID }).then(async (open) => open.state)).toBe('open');
  });

  it('takes in saves and deletes on both sides of what is filled', () => {
    const writer = opened();
    writer.indexOlder();
    expect(indexedFrom(path)).toBeGreaterThan(T0);
    const [old, young] = [2000, 2001].map((id) =>
      recordOf(id, { timestamp: id === 2000 ? T0 - 5 : T0 + 1e9, prompt: 'a red fox', size: 1000 }),
    );
    writer.commit([old!, young!].map(insertOf));
    writer.commit([LIVE[0]!, LIVE.at(-1)!].map((record) => deleteOf(record)));
    const live = [old!, ...LIVE.slice(1, -1), young!];
    const red = () => {
      const reader = new CatalogReader({ path });
      reader.open();
      const { records } = finish(reader.page({ order: 'oldest', query: 'red' }, PAGE));
      reader.close();
      return records.map(bareRecord);
    };
    const expected = live.filter(({ prompt }) => prompt.includes('red'));
    expect(red()).toEqual(expected);
    while (writer.indexOlder());
    expect(red()).toEqual(expected);
    writer.close(true);
  });

  it('goes on where a kill interrupted it, at every step', () => {
    let steps = 0;
    const writer = opened();
    for (let more = true; ; steps += 1) {
      const copy = `${path}.${steps}`;
      for (const suffix of ['', '-wal']) if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
      const again = opened(copy);
      expectRightAnswers(copy);
      while (again.indexOlder());
      expectRightAnswers(copy);
      again.close(true);
      expect(indexedFrom(copy)).toBeUndefined();
      if (!more) break;
      more = writer.indexOlder();
    }
    writer.close(false);
    expect(steps).toBeGreaterThan(4);
  });

  it('reads images by their names where more share a timestamp than the index can hold', () => {
    const writer = opened();
    while (writer.indexOlder());
    writer.close(true);
    const db = new DatabaseSync(path);
    db.exec(
      `INSERT INTO crowded VALUES (${T0}), (${T0 + 20_000}); DELETE FROM prompts WHERE rowid >> 15 IN (SELECT timestamp FROM crowded)`,
    );
    db.close();
    expectRightAnswers(path);
  });

  requires('root, to mount a tmpfs', canMountTmpfs)('on a full disk', () => {
    it('answers right, and goes on once there is room', async () => {
      await using disk = await openTmpfs('size=24m');
      const [at, foreign] = [join(disk.path, 'catalog.db'), join(disk.path, 'foreign')];
      for (let steps = 0; steps < 5; steps += 1) {
        for (const suffix of ['', '-wal', '-shm']) rmSync(at + suffix, { force: true });
        createOlder(at, RECORDS, DELETED, version);
        const writer = opened(at);
        for (let step = 0; step < steps; step += 1) writer.indexOlder();
        await fill(foreign);
        let refused = 0;
        try {
          while (writer.indexOlder());
        } catch (error) {
          expect(error).toMatchObject({ name: 'CatalogError', failure: 'full' });
          refused += 1;
        }
        expect(refused).toBe(1);
        expectRightAnswers(at);
        rmSync(foreign);
        while (writer.indexOlder());
        expectRightAnswers(at);
        writer.close(true);
      }
    });

    it('is migrated, or refuses to open for lack of space', async () => {
      await using disk = await openTmpfs('size=24m');
      const [at, foreign] = [join(disk.path, 'catalog.db'), join(disk.path, 'foreign')];
      createOlder(at, RECORDS, DELETED, version);
      await fill(foreign);
      const open = () => new CatalogWriter({ path: at, storeId: STORE_ID }).open();
      expect(open).toThrow(expect.objectContaining({ name: 'CatalogError', failure: 'full' }));
      rmSync(foreign);
      const writer = opened(at);
      expectRightAnswers(at);
      writer.close(true);
    });
  });
});

describe('with more images of one timestamp than the index can hold', () => {
  const MANY = 33_000;
  const many = Array.from({ length: MANY }, (_, id) =>
    recordOf(id, { timestamp: T0, prompt: id % 1000 === 0 ? 'a red fox' : 'foxes' }),
  );

  const ways: [string, (at: string) => CatalogWriter][] = [
    [
      'saved one after the other',
      (at: string) => {
        const writer = new CatalogWriter({ path: at, storeId: STORE_ID });
        writer.create();
        for (let from = 0; from < MANY; from += 5000) writer.load(many.slice(from, from + 5000));
        return writer;
      },
    ],
    [
      'of an older version',
      (at: string) => {
        createOlder(at, many);
        const writer = opened(at);
        while (writer.indexOlder());
        return writer;
      },
    ],
  ];

  it.each(full ? ways : ways.slice(0, 1))('finds all of them, and those beside them, %s', (_name, make) => {
    const writer = make(path);
    const beside = [-1, 1].map((ms) => recordOf(MANY + ms, { timestamp: T0 + ms, prompt: 'a red fox' }));
    writer.load(beside);
    writer.close(true);
    const reader = new CatalogReader({ path });
    reader.open();
    for (const order of ['newest', 'oldest'] as const) {
      const expected = [beside[0]!, ...many.filter((_, id) => id % 1000 === 0), beside[1]!].map(
        ({ filename }) => filename,
      );
      if (order === 'newest') expected.reverse();
      expect(finish(reader.page({ order, query: 'red' }, PAGE)).records.map(({ filename }) => filename)).toEqual(
        expected,
      );
    }
    reader.close();
  });
});
