/** The contract of a catalog, over SQLite in the test's own thread and in worker threads. */
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CatalogQuery, ImageIndex, PageRequest } from '../../src/storage/catalog/catalog.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';
import { full, seed } from '../support/scale.ts';
import { anyQuery, anyStep, CatalogModel } from './catalog-model.ts';
import {
  createWith,
  deleteOf,
  insertOf,
  openInThread,
  openInWorkers,
  recordOf,
  T0,
  type TestedCatalog,
  temporaryCatalog,
} from './catalogs.ts';

const NEWEST: CatalogQuery = { order: 'newest' };

describe.each([
  { where: 'in its thread', open: openInThread, runs: full ? 200 : 20 },
  { where: 'in workers', open: openInWorkers as (path: string) => Promise<TestedCatalog>, runs: 3 },
])('a SQLite catalog $where', ({ open, runs }) => {
  let path: string;
  let release: () => void;
  let catalog: TestedCatalog;

  beforeEach(async () => {
    ({ path, release } = temporaryCatalog());
    createWith(path);
    catalog = await open(path);
  });
  afterEach(async () => {
    await catalog.close(true);
    release();
  });

  const insert = (...records: ImageRecord[]) => catalog.commit(records.map(insertOf));
  const listed = async (query: Partial<CatalogQuery> = {}) => (await pagesOf(catalog, { ...NEWEST, ...query })).flat();
  const found = async (query: string) => (await listed({ query })).map((record) => record.prompt);

  it('takes in what an older copy of it lacks: images, deletes, and deletes that were taken back', async () => {
    const [kept, gone, back, added] = [1, 2, 3, 4].map((id) => recordOf(id, { prompt: `fox${id}`, tags: ['t'] }));
    await insert(kept!, gone!, back!);
    await catalog.commit([deleteOf(back!)]);
    expect(await catalog.forgetDeletes([{ filename: back!.filename, time: T0 }])).toBe(0);
    expect(await catalog.forgetDeletes([back!, kept!].map(({ filename }) => ({ filename, time: T0 + 1 })))).toBe(1);
    const never = recordOf(5, { idempotencyKey: 'never' });
    const deletes = [gone!, never].map((record) => ({ record, deleteTime: T0, unlinkPending: false }));
    expect(await catalog.loadDeletes(deletes)).toBe(1);
    expect(await catalog.loadDeletes(deletes)).toBe(0);
    await catalog.load([gone!, back!, added!, kept!]);
    expect(await listed()).toEqual([added, back, kept]);
    expect(await found('fox2')).toEqual([]);
    expect(await listed({ tags: ['t'] })).toHaveLength(3);
    expect(await catalog.statistics()).toMatchObject({ count: 3 });
    expect(await catalog.findByKey('never')).toEqual({ record: never, deleted: true });
    expect(await catalog.pendingUnlinks(10)).toEqual([]);
    expect(await catalog.lastSequence()).toBeGreaterThan(4);
  });

  it('raises its generation above what is known, with every clean close, and never lowers it', async () => {
    const first = await catalog.raiseGeneration(0);
    expect(await catalog.raiseGeneration(first + 10)).toBe(first + 11);
    await catalog.close(true);
    catalog = await open(path);
    expect(await catalog.raiseGeneration(0)).toBeGreaterThan(first + 12);
  });

  it('gives back every field as it was, after a restart too', async () => {
    const record = recordOf(1, {
      prompt: 'a fox "quoted", ünïcödé 🦊 猫',
      model: 'black-forest-labs/FLUX.1 [dev]',
      category: 'portrait',
      tags: ['b', 'a', "it's"],
      parametersJson: `{"seed":18446744073709551615,"workflow":"${'x'.repeat(1 << 20)}"}`,
      idempotencyKey: 'key-1',
      pinned: true,
      nonce: 'n-1',
    });
    await insert(record);
    await catalog.close(false);
    catalog = await open(path);
    const stored = { ...record, generation: { seed: '18446744073709551615' } };
    expect(await catalog.find(record.filename)).toEqual(stored);
    expect(await catalog.findByKey('key-1')).toEqual({ record, deleted: false });
    expect(await listed()).toEqual([stored]);
    expect(await catalog.find('another.png')).toBeUndefined();
    expect(await catalog.findByKey('')).toBeUndefined();
  });

  it('checks each change against those before it, and lets only the failing ones fail', async () => {
    const [first, second, pinned] = [recordOf(1, { idempotencyKey: 'k' }), recordOf(2), recordOf(3, { pinned: true })];
    const outcomes = await catalog.commit([
      insertOf(first),
      insertOf({ ...second, idempotencyKey: 'k' }),
      insertOf({ ...first, idempotencyKey: 'other' }),
      insertOf(second),
      insertOf(pinned),
      deleteOf(first),
      deleteOf(first),
      deleteOf(pinned, { sparePinned: true }),
      deleteOf(recordOf(9)),
    ]);
    expect(outcomes).toEqual([
      { done: true, record: first },
      { done: false, why: 'key_taken', record: first, deleted: false },
      { done: false, why: 'filename_taken' },
      { done: true, record: second },
      { done: true, record: pinned },
      { done: true, record: first },
      { done: false, why: 'not_found' },
      { done: false, why: 'pinned' },
      { done: false, why: 'not_found' },
    ]);
    expect(await listed()).toEqual([pinned, second]);
    expect(await catalog.commit([deleteOf(pinned)])).toEqual([{ done: true, record: pinned }]);
  });

  it('does nothing of a group that fails as a whole', async () => {
    const broken = { ...recordOf(2), prompt: null as never };
    const group = catalog.commit([insertOf(recordOf(1)), insertOf(broken), insertOf(recordOf(3))]);
    await expect(group).rejects.toMatchObject({ name: 'CatalogError', failure: 'definite' });
    expect(await listed()).toEqual([]);
    expect((await catalog.statistics()).count).toBe(0);
    expect(await insert(recordOf(1))).toMatchObject([{ done: true }]);
  });

  it('keeps filename and key of a deleted image until its files are gone and its time is over', async () => {
    const record = recordOf(1, { idempotencyKey: 'k', prompt: 'fox', tags: ['t'] });
    await insert(record);
    await catalog.commit([deleteOf(record, { deleteTime: T0 })]);
    expect(await catalog.find(record.filename)).toBeUndefined();
    expect(await found('fox')).toEqual([]);
    expect(await catalog.findByKey('k')).toEqual({ record, deleted: true });
    expect(await insert(recordOf(2, { idempotencyKey: 'k' }))).toEqual([
      { done: false, why: 'key_taken', record, deleted: true },
    ]);
    expect(await insert({ ...record, idempotencyKey: '' })).toEqual([{ done: false, why: 'filename_taken' }]);

    const pending = await catalog.pendingUnlinks(10);
    const { filename, model, size, sha256, idempotencyKey, fingerprint } = record;
    const logged = { filename, model, size, sha256, idempotencyKey, fingerprint };
    expect(pending).toEqual([{ ...logged, deleteTime: T0, inTrash: false, attempts: 0 }]);
    expect(await catalog.purgeTombstones(T0 + 1)).toBe(0);
    await catalog.clearPendingUnlinks(pending);
    expect(await catalog.pendingUnlinks(10)).toEqual([]);
    expect(await catalog.purgeTombstones(T0)).toBe(0);
    expect(await catalog.purgeTombstones(T0 + 1)).toBe(1);
    expect(await insert(record)).toEqual([{ done: true, record }]);
  });

  it('clears no mark of files that were about to move again', async () => {
    const { filename } = recordOf(1);
    await insert(recordOf(1));
    const trash = (deleteTime: number) => deleteOf(recordOf(1), { deleteTime, purgeTime: deleteTime + 1 });
    await catalog.commit([trash(T0)]);
    const first = await catalog.pendingUnlinks(10);
    expect(await catalog.rowStates([filename])).toEqual(['trashing']);
    await catalog.commit([{ kind: 'restoring', filename }]);
    await catalog.clearPendingUnlinks(first);
    expect(await catalog.rowStates([filename])).toEqual(['trashing']);
    await catalog.clearPendingUnlinks(await catalog.pendingUnlinks(10));
    expect(await catalog.rowStates([filename])).toEqual(['trashed']);
    await catalog.commit([{ kind: 'restore', filename, time: T0 }]);
    await catalog.commit([trash(T0 + 5)]);
    await catalog.clearPendingUnlinks(first);
    expect(await catalog.rowStates([filename])).toEqual(['trashing']);
  });

  it('purges by its time only what is still due', async () => {
    const { filename } = recordOf(1);
    await insert(recordOf(1));
    await catalog.commit([deleteOf(recordOf(1), { deleteTime: T0, purgeTime: T0 + 9 })]);
    const purge = { kind: 'purge', filename, deleteTime: T0 + 10 } as const;
    expect(await catalog.commit([{ ...purge, dueBy: T0 + 8 }])).toEqual([{ done: false, why: 'not_found' }]);
    expect((await catalog.findTrashed(filename))?.purgeTime).toBe(T0 + 9);
    expect(await catalog.commit([{ ...purge, dueBy: T0 + 9 }])).toMatchObject([{ done: true }]);
    expect(await catalog.findTrashed(filename)).toBeUndefined();
  });

  it('purges nothing whose time has changed since it was looked up', async () => {
    const { filename } = recordOf(1);
    await insert(recordOf(1));
    await catalog.commit([deleteOf(recordOf(1), { deleteTime: T0, purgeTime: T0 + 1 })]);
    await catalog.commit([{ kind: 'restore', filename, time: T0 }]);
    await catalog.commit([deleteOf(recordOf(1), { deleteTime: T0 + 1, purgeTime: T0 + 3 })]);
    const purge = { kind: 'purge', filename, deleteTime: T0 + 2 } as const;
    expect(await catalog.commit([{ ...purge, dueBy: T0 + 2 }])).toEqual([{ done: false, why: 'not_found' }]);
    expect(await catalog.commit([{ ...purge, dueBy: T0 + 3 }])).toMatchObject([{ done: true }]);
  });

  it('forgets thousands of old tombstones in one call', async () => {
    const records = Array.from({ length: 2100 }, (_, id) => recordOf(id));
    await insert(...records);
    await catalog.commit(records.map((record) => deleteOf(record)));
    await catalog.clearPendingUnlinks(await catalog.pendingUnlinks(3000));
    expect(await catalog.purgeTombstones(T0 + 1)).toBe(2100);
  });

  it('tells which records are not known to be synced, up to the first that is too young', async () => {
    await insert(...[50, 10, 90, 20].map((age, id) => recordOf(id, { createTime: T0 + age })));
    await catalog.commit([deleteOf(recordOf(1))]);
    const unsynced = (young?: { from: number; to: number }) => catalog.unsyncedRecords(10, young);
    const all = await unsynced();
    expect(all.map(({ filename }) => filename)).toEqual([0, 2, 3].map((id) => recordOf(id).filename));
    expect(await unsynced({ from: T0 + 60, to: T0 + 100 })).toEqual(all.slice(0, 1));
    // Behind a clock that was set back, a record is not young for ever.
    expect(await unsynced({ from: T0 - 60, to: T0 })).toEqual(all);
    await catalog.setRecordsSynced(all[1]!.sequence);
    await catalog.setRecordsSynced(all[0]!.sequence);
    await catalog.close(false);
    catalog = await open(path);
    expect(await unsynced()).toEqual([all[2]]);
  });

  it('never gives a sequence twice, so that a new record is never taken for a synced one', async () => {
    await insert(recordOf(1));
    const [before] = await catalog.unsyncedRecords(1);
    await catalog.commit([deleteOf(recordOf(1))]);
    await catalog.clearPendingUnlinks(await catalog.pendingUnlinks(1));
    await catalog.purgeTombstones(Number.MAX_SAFE_INTEGER);
    await insert(recordOf(2));
    const [after] = await catalog.unsyncedRecords(1);
    expect(after!.sequence).toBeGreaterThan(before!.sequence);
  });

  it('ends a page before the row that would be too much, and gives one row at least', async () => {
    const long = 'ü'.repeat(4000);
    await insert(...[1, 2, 3].map((id) => recordOf(id, { prompt: long })));
    const count = async (maxBytes: number) => (await catalog.page(NEWEST, { limit: 10, maxBytes })).records.length;
    expect(await count(1)).toBe(1);
    expect(await count(2 * (8000 + 1024) + 100)).toBe(2);
    expect(await count(1 << 20)).toBe(3);
  });

  it('orders images of one timestamp by their filenames, whichever came first', async () => {
    const images = [1, 2, 3].map((id) => recordOf(id, { timestamp: T0 }));
    await insert(images[1]!, images[2]!, images[0]!);
    expect(await listed({ order: 'oldest' })).toEqual(images);
    expect(await listed({ order: 'newest' })).toEqual(images.toReversed());
  });

  describe('search', () => {
    const prompts = [
      'A red fox, sitting in the snow',
      'Château de Chambord at dusk',
      'foxglove meadow; highly detailed',
      '白い猫の女の子 in the garden',
      'a cat (oil:1.2) AND NOT "dog"',
      'STRASSE and straße, ΟΔΟΣ',
      'แมวสีขาว',
      'гора Эльбрус',
    ];
    const expected: [query: string, ...ids: number[]][] = [
      ['fox', 0, 2],
      ['FOX snow', 0],
      ['ox'],
      ['chateau', 1],
      ['CHÂTEAU dus', 1],
      ['highly-detailed', 2],
      ['猫', 3],
      ['猫の女', 3],
      ['女の猫'],
      ['白い garden', 3],
      ['"dog"', 4],
      ['NOT AND', 4],
      ['oil:1.2', 4],
      ['fox*', 0, 2],
      ['strasse', 5],
      ['straße', 5],
      ['οδοσ', 5],
      ['แมว', 6],
      ['эльбрус', 7],
      ['ГОРА эль', 7],
      ['  ', 0, 1, 2, 3, 4, 5, 6, 7],
      ['!!!'],
    ];

    it('takes words and their beginnings, without case, accents and syntax', async () => {
      await insert(...prompts.map((prompt, id) => recordOf(id, { prompt })));
      for (const [query, ...ids] of expected) {
        expect((await found(query)).sort(), query).toEqual(ids.map((id) => prompts[id]).sort());
      }
    });
  });

  it('agrees with a simple model under any inserts, deletes and filters', async () => {
    const count = { queries: 0, withHits: 0, onSeveralPages: 0 };
    await fc.assert(
      fc
        .asyncProperty(
          fc.array(anyStep, { minLength: 30, maxLength: 60, size: 'max' }),
          fc.array(anyQuery, { minLength: 10, maxLength: 10 }),
          async (steps, queries) => {
            const model = new CatalogModel();
            for (const group of groupsOf(steps)) {
              const changes = group.map((step) => model.changeOf(step));
              expect((await catalog.commit(changes)).map(({ done }) => done)).toEqual(
                changes.map((change) => model.apply(change)),
              );
            }
            for (const { query, limit, maxBytes } of queries) {
              const expected = model.list(query);
              const pages = await pagesOf(catalog, query, { limit, maxBytes });
              expect(pages.flat()).toEqual(expected);
              count.queries += 1;
              if (expected.length > 0) count.withHits += 1;
              if (pages.length > 1) count.onSeveralPages += 1;
              const sizes = expected.map(({ timestamp, filename, size, pinned }) => ({
                timestamp,
                filename,
                size,
                pinned,
              }));
              expect(await sizesOf(catalog, query, limit)).toEqual(sizes);
            }
            expect(await catalog.statistics()).toEqual(model.statistics());
            const pending = await catalog.pendingUnlinks(1000);
            expect(namesOf(pending.filter(({ inTrash }) => !inTrash)).sort()).toEqual(model.deletedFilenames());
            for (const { query, limit, maxBytes } of queries) {
              const trash = namesOf(model.trash(query));
              expect(await trashNamesOf(catalog, query.query ?? '', { limit, maxBytes })).toEqual(trash);
            }
            expect(namesOf(await catalog.dueTrash(1000))).toEqual(namesOf(model.trash({})).reverse());
          },
        )
        .beforeEach(async () => {
          await catalog.close(true);
          release();
          ({ path, release } = temporaryCatalog());
          createWith(path);
          catalog = await open(path);
        }),
      { seed, numRuns: runs },
    );
    // Where hardly any query finds something, hardly anything was compared.
    expect(count.withHits).toBeGreaterThan(count.queries / 3);
    expect(count.onSeveralPages).toBeGreaterThan(count.queries / 5);
  });
});

describe.each([
  { where: 'in its thread', open: openInThread },
  { where: 'in workers', open: openInWorkers as (path: string) => Promise<TestedCatalog> },
])('many images $where', ({ open }) => {
  const COUNT = 12_000;
  let catalog: TestedCatalog;
  let release: () => void;

  beforeAll(async () => {
    const temporary = temporaryCatalog();
    release = temporary.release;
    createWith(
      temporary.path,
      Array.from({ length: COUNT }, (_, id) =>
        recordOf(id, {
          prompt: id < COUNT / 2 ? 'an old castle' : id % 1000 === 0 ? 'a castled needle' : 'a tree, café',
          tags: id % 2 ? ['odd'] : ['even', ...(id % 1000 === 0 ? ['rare'] : [])],
          model: `model-${id % 150}`,
          category: id % 3 ? 'c' : '',
        }),
      ),
    );
    catalog = await open(temporary.path);
  });
  afterAll(async () => {
    await catalog.close(true);
    release();
  });

  it.each([
    [{ query: 'castle' }, COUNT / 2 + 6],
    [{ query: 'CAFE' }, COUNT / 2 - 6],
    [{ query: 'cast need' }, 6],
    [{ query: 'castle', tags: ['rare'] }, 12],
    [{ query: 'an', tags: ['odd'] }, COUNT / 4],
    [{ query: 'a', tags: ['even'], category: 'c' }, 2000],
    [{ tags: ['odd', 'even'] }, 0],
    [{ start: T0 + 1_000_000, end: T0 + 2_000_000 }, 1000],
  ])('finds all of %j, page by page', async (filter, count) => {
    const pages = await pagesOf(catalog, { ...filter, order: 'newest' }, { limit: 1000, maxBytes: 1 << 20 });
    const filenames = pages.flat().map(({ filename }) => filename);
    expect(filenames).toHaveLength(count);
    expect(filenames).toEqual([...new Set(filenames)].sort().reverse());
  });

  if (open !== openInThread)
    it('answers other calls while a search walks', async () => {
      const order: string[] = [];
      // So many images take many slices.
      const searching = catalog
        .page({ order: 'newest', query: 'old castl' }, { limit: COUNT, maxBytes: 1 << 30 })
        .then(() => order.push('search'));
      const asking = catalog.find('nothing').then(() => order.push('find'));
      await Promise.all([searching, asking]);
      expect(order).toEqual(['find', 'search']);
    });

  it('lists the 100 largest groups and sums up the rest', async () => {
    const { byModel, byCategory, byDate, count, bytes } = await catalog.statistics();
    expect(byModel).toHaveLength(101);
    expect(byModel[0]).toMatchObject({ name: 'model-149', rest: false });
    expect(byModel.at(-1)).toMatchObject({ name: '', count: 50 * 80, rest: true });
    for (const groups of [byModel, byCategory, byDate]) {
      expect(groups.reduce((sum, group) => sum + group.count, 0)).toBe(count);
      expect(groups.reduce((sum, group) => sum + group.bytes, 0)).toBe(bytes);
    }
    expect(byCategory.map(({ name, rest }) => [name, rest])).toEqual([
      ['c', false],
      ['', false],
    ]);
  });
});

/** All pages; checks on the way that each is full or the last. */
async function pagesOf(
  catalog: ImageIndex,
  query: CatalogQuery,
  { limit, maxBytes } = { limit: 100, maxBytes: 1 << 20 },
) {
  const pages: ImageRecord[][] = [];
  for (let after: PageRequest['after']; ; ) {
    const { records, more } = await catalog.page(query, { after, limit, maxBytes });
    pages.push(records);
    expect(records.length).toBeLessThanOrEqual(limit);
    if (!more) return pages;
    const last = records.at(-1)!;
    const again = await catalog.page(query, { after: { ...last, inclusive: true }, limit: 1, maxBytes });
    expect(again.records).toEqual([last]);
    after = last;
  }
}

async function sizesOf(catalog: ImageIndex, query: CatalogQuery, limit: number) {
  const sizes = [];
  for (let after: { timestamp: number; filename: string } | undefined; ; ) {
    const rows = await catalog.pageSizes(query, { after, limit });
    sizes.push(...rows);
    if (rows.length < limit) return sizes;
    after = rows.at(-1);
  }
}

function groupsOf<T>(items: T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / 7) }, (_, index) => items.slice(index * 7, index * 7 + 7));
}

function namesOf(images: readonly { filename: string }[]): string[] {
  return images.map(({ filename }) => filename);
}

async function trashNamesOf(
  catalog: TestedCatalog,
  query: string,
  request: { limit: number; maxBytes: number },
): Promise<string[]> {
  const names: string[] = [];
  let after: { timestamp: number; filename: string } | undefined;
  for (;;) {
    const { records, more } = await catalog.trashPage(query, { ...request, ...(after && { after }) });
    names.push(...namesOf(records));
    const last = records.at(-1);
    if (!more || last === undefined) return names;
    after = { timestamp: last.deleteTime, filename: last.filename };
  }
}
