/** What no rule keeps: the same as a brute-force reading of all images, whatever the rules and groups. */
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import type { Change, LocalCatalog } from '../../src/storage/catalog/catalog.ts';
import type { Policy } from '../../src/storage/domain/policy.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';
import type { Selection } from '../../src/storage/domain/requests.ts';
import { cleanUp } from '../../src/storage/retention/cleanup.ts';
import { type Unkept, unkept } from '../../src/storage/retention/plan.ts';
import { fileInMemory } from '../../src/storage/retention/policy-runs.ts';
import { type RetainedStore, Retention } from '../../src/storage/retention/retention.ts';
import { rulesOfCleanup, rulesOfPolicy } from '../../src/storage/retention/rules.ts';
import { createWith, deleteOf, insertOf, openInThread, recordOf, temporaryCatalog } from '../catalog/catalogs.ts';
import { full, seed } from '../support/scale.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 30, 12);
const MODELS = ['flux-schnell', 'FLUX Schnell', '模型', 'Модель', ''];

async function catalogWith(records: ImageRecord[]): Promise<LocalCatalog> {
  const { path, release } = temporaryCatalog();
  createWith(path, records);
  const catalog = await openInThread(path);
  onTestFinished(async () => {
    await catalog.close(true);
    release();
  });
  return catalog;
}

function policyWith(rules: Partial<Policy>): Policy {
  return { name: 'drafts', everyMs: HOUR, delayMs: DAY, ...rules };
}

async function going(catalog: LocalCatalog, policy: Policy): Promise<Unkept[]> {
  const images: Unkept[] = [];
  for await (const page of unkept(catalog, rulesOfPolicy(policy, NOW))) images.push(...page.images);
  return images;
}

/** The same, image by image. */
function expected(records: readonly ImageRecord[], policy: Policy): string[] {
  const { model, category, tag, keepWithinMs, keepLast = 0, keepDaily = 0, keepBytes = 0, groupBy } = policy;
  const matching = records
    .filter((record) => model === undefined || record.model === model)
    .filter((record) => category === undefined || record.category === category)
    .filter((record) => tag === undefined || record.tags.includes(tag))
    .filter(({ timestamp }) => timestamp <= NOW)
    .sort((a, b) => b.timestamp - a.timestamp || (a.filename < b.filename ? 1 : -1));
  const dayOf = ({ timestamp }: ImageRecord) => Math.floor(timestamp / DAY);
  const groups = Map.groupBy(matching, (record) =>
    groupBy === undefined ? '' : groupBy === 'day' ? dayOf(record) : record[groupBy],
  );
  const gone: ImageRecord[] = [];
  for (const group of groups.values()) {
    const counted = group.filter(({ pinned }) => !pinned);
    const days = [...new Set(counted.map(dayOf))].slice(0, keepDaily);
    let fits = true;
    let bytes = 0;
    for (const [rank, record] of counted.entries()) {
      bytes += record.size;
      fits &&= bytes <= keepBytes;
      const isDaily = days.some((day) => counted.find((other) => dayOf(other) === day) === record);
      const isYoung = keepWithinMs !== undefined && record.timestamp >= NOW - keepWithinMs;
      if (rank >= keepLast && !fits && !isDaily && !isYoung && record.createTime <= NOW - DAY) gone.push(record);
    }
  }
  return gone.sort((a, b) => a.timestamp - b.timestamp || (a.filename < b.filename ? -1 : 1)).map(nameOf);
}

const nameOf = ({ filename }: { filename: string }) => filename;

const image = fc.record({
  timestamp: fc.integer({ min: -40 * 24, max: 30 }).map((hours) => NOW + hours * HOUR),
  size: fc.integer({ min: 1, max: 20 }),
  pinned: fc.integer({ min: 0, max: 5 }).map((value) => value === 0),
  model: fc.constantFrom(...MODELS),
  category: fc.constantFrom('draft', 'final', ''),
  tags: fc.constantFrom<string[]>([], ['fox'], ['fox', 'owl']),
  createTime: fc.constantFrom(NOW - 30 * DAY, NOW - 30 * DAY, NOW - HOUR, NOW + HOUR),
});
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const rules = fc
  .record({
    // A name that is a slug itself would select others with that slug, too.
    model: optional(fc.constantFrom('FLUX Schnell', '模型')),
    category: optional(fc.constant('draft')),
    tag: optional(fc.constant('owl')),
    keepWithinMs: optional(fc.integer({ min: 1, max: 40 }).map((days) => days * DAY)),
    keepLast: optional(fc.integer({ min: 1, max: 12 })),
    keepDaily: optional(fc.integer({ min: 1, max: 20 })),
    keepBytes: optional(fc.integer({ min: 1, max: 150 })),
    groupBy: fc.constantFrom(undefined, 'model', 'category', 'day'),
  })
  .map((given) => policyWith(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))));

it('any rule keeps, in each group on its own, and never goes what is pinned, new or dated after now', async () => {
  const model = fc.asyncProperty(
    fc.array(image, { maxLength: 80 }),
    fc.array(rules, { minLength: 6, maxLength: 6 }),
    async (images, policies) => {
      const { path, release } = temporaryCatalog();
      const records = images.map((fields, id) => recordOf(id, fields));
      createWith(path, records);
      const catalog = await openInThread(path);
      try {
        for (const policy of policies) {
          const found = await going(catalog, policy);
          expect(found.filter(({ pinned }) => !pinned).map(nameOf)).toEqual(expected(records, policy));
        }
      } finally {
        await catalog.close(true);
        release();
      }
    },
  );
  await fc.assert(model, { numRuns: full ? 500 : 25, seed });
});

/** The retention of a store that is its catalog. */
function retentionOf(catalog: LocalCatalog): Retention {
  const store: RetainedStore = {
    context: { name: 'main', log: { debug() {}, info() {}, warn() {}, error() {} }, now: () => NOW },
    policyRuns: () => fileInMemory(),
    completeCatalog: async () => catalog,
    currentCatalog: async () => catalog,
    checkCountable() {},
    nextPurgeTime: async () => undefined,
    async remove(filename, { unchangedSince }) {
      expect(await catalog.changedSince([filename], unchangedSince!)).toEqual([]);
      const [outcome] = await catalog.commit([deleteOf({ filename } as ImageRecord, { sparePinned: true })]);
      return { deleted: outcome!.done };
    },
    async checkClock() {},
    claimRun: async () => true,
  };
  return new Retention(store);
}

const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 30 });
/** One filter or two, and one criterion or none: more would leave nothing to take. */
const filter: fc.Arbitrary<Selection & { names?: number[] }> = fc.oneof(
  fc.constantFrom<Selection>({}, { category: 'draft' }, { tags: ['fox'] }, { tags: ['owl'] }),
  fc.constantFrom('tag:fox', '-category:final', 'after:2026-11-10').map((query) => ({ query })),
  fc.integer({ min: -40, max: 0 }).map((day) => ({ dateRange: { start: new Date(NOW + day * DAY) } })),
  numbers.map((names) => ({ names })),
);
const criterion: fc.Arbitrary<Selection> = fc.oneof(
  fc.constant({}),
  fc.integer({ min: 0, max: 30 }).map((days) => ({ olderThan: new Date(NOW - days * DAY) })),
  fc.integer({ min: 0, max: 8 }).map((keepCount) => ({ keepCount })),
  fc.integer({ min: 0, max: 150 }).map((keepBytes) => ({ keepBytes })),
);
const selection = fc.tuple(filter, filter, criterion).map((parts) => Object.assign({}, ...parts) as (typeof parts)[0]);
/** Of what was there when the plan was made; a change of any other image is one that comes. */
const change = fc.record({
  number: fc.integer({ min: 0, max: 60 }),
  kind: fc.constantFrom('pin', 'unpin', 'tag', 'untag', 'recategorize', 'delete', 'restore', 'come'),
  hours: fc.integer({ min: -40 * 24, max: 30 }),
});

it('a plan takes what it saw and nobody touched since, whatever happens to the others', async () => {
  const model = fc.asyncProperty(
    fc.array(image, { minLength: 20, maxLength: 50 }),
    fc.array(
      fc.tuple(
        selection,
        fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 5 }),
        fc.array(change, { minLength: 5, maxLength: 20 }),
        fc.option(fc.integer({ min: 0, max: 9 }), { nil: 1000 }),
      ),
      { minLength: 4, maxLength: 4 },
    ),
    async (images, rounds) => {
      const { path, release } = temporaryCatalog();
      const records = images.map((fields, id) => recordOf(id, fields));
      createWith(path, records);
      const catalog = await openInThread(path);
      const retention = retentionOf(catalog);
      const namesOf = (given: number[]) => given.map((number) => records[number]?.filename ?? `${number}`);
      try {
        for (const [{ names, ...filters }, except, changes, maxDeletes] of rounds) {
          const wanted = { ...filters, ...(names && { only: namesOf(names) }) };
          const asked = { selection: { dateRange: ANY_DATE, ...wanted, except: namesOf(except) }, maxDeletes };
          const planned = await retention.cleanup({ ...asked, dryRun: true })();
          const touched = new Set<string>();
          for (const each of changes) await apply(catalog, records, each, touched);
          const pinned = new Set((await catalog.page({ order: 'newest', pinned: true }, PAGE)).records.map(nameOf));
          const carryOut = { selection: { ...asked.selection, plan: planned.plan! } };
          const done = await retention.cleanup(carryOut)();
          const untouched = planned.filenames.filter((filename) => !touched.has(filename));
          expect(untouched).toEqual(expect.arrayContaining(done.filenames));
          expect(done.filenames.filter((filename) => pinned.has(filename))).toEqual([]);
          // Where no image keeps its place by the others, all of them go.
          const { keepCount = 0, keepBytes = 0 } = filters;
          if (keepCount + keepBytes === 0) expect(done.filenames).toEqual(untouched);
          expect(done.deletedCount).toBe(done.filenames.length);
        }
      } finally {
        await retention.stop();
        await catalog.close(true);
        release();
      }
    },
  );
  await fc.assert(model, { numRuns: full ? 500 : 15, seed });
});

const ANY_DATE = { end: new Date(NOW + 1000 * DAY) };
const PAGE = { limit: 1000, maxBytes: 1 << 30 };

async function apply(
  catalog: LocalCatalog,
  records: ImageRecord[],
  { number, kind, hours }: { number: number; kind: string; hours: number },
  touched: Set<string>,
): Promise<void> {
  const record = records[number];
  if (kind === 'come' || record === undefined) {
    const come = recordOf(records.length, { timestamp: NOW + hours * HOUR, category: 'draft', tags: ['fox', 'owl'] });
    records.push(come);
    touched.add(come.filename);
    await catalog.commit([insertOf(come)]);
    return;
  }
  const { filename } = record;
  const update = (changes: object): Change => {
    const checked = { pinned: undefined, addTags: [], removeTags: [], category: undefined, ...changes };
    return { kind: 'update', filename, changes: checked, above: 0, time: NOW };
  };
  const steps: Record<string, Change> = {
    pin: update({ pinned: true }),
    unpin: update({ pinned: false }),
    tag: update({ addTags: ['owl'] }),
    untag: update({ removeTags: ['owl'] }),
    recategorize: update({ category: 'draft' }),
    delete: deleteOf(record, { purgeTime: NOW + DAY }),
    restore: { kind: 'restore', filename, time: NOW },
  };
  const [outcome] = await catalog.commit([steps[kind]!]);
  if (outcome!.done) touched.add(filename);
}

it('reasons name the rules and the group, with count and bytes', async () => {
  const records = Array.from({ length: 12 }, (_, id) =>
    recordOf(id, { timestamp: NOW - (40 + id) * DAY, createTime: 0, model: id < 8 ? 'flux-schnell' : '', size: 10 }),
  );
  const catalog = await catalogWith(records);
  const reasonsOf = async (rules: Partial<Policy>) => {
    const remove = async () => true;
    return (await cleanUp(catalog, rulesOfPolicy(policyWith(rules), NOW), { dryRun: true, remove })).reasons;
  };
  expect(await reasonsOf({ keepWithinMs: 30 * DAY, keepLast: 3, groupBy: 'model' })).toEqual([
    { text: 'older than 30d, not among the last 3 without a model', count: 1, bytes: 10 },
    { text: 'older than 30d, not among the last 3 of flux-schnell', count: 5, bytes: 50 },
  ]);
  expect(await reasonsOf({ keepDaily: 10, keepBytes: 100 * 2 ** 30, model: 'flux-schnell' })).toEqual([]);
  expect(await reasonsOf({ keepDaily: 2, keepBytes: 30, model: 'flux-schnell' })).toEqual([
    {
      text: 'not the newest of one of the last 2 days, beyond the newest 30 bytes of flux-schnell',
      count: 5,
      bytes: 50,
    },
  ]);
});

it('a cleanup gives its reasons, too', async () => {
  const catalog = await catalogWith([recordOf(0, { timestamp: NOW - 40 * DAY, size: 10 })]);
  const options = { olderThan: new Date(NOW - 30 * DAY), keepCount: 0, keepBytes: 1 };
  const reasonOf = async (given: object) => {
    const rules = rulesOfCleanup({ ...options, ...given }, NOW);
    return (await cleanUp(catalog, rules, { dryRun: true, remove: async () => true })).reasons;
  };
  expect(await reasonOf({ olderThanAgeMs: 30 * DAY })).toEqual([
    { text: 'older than 30d, not among the newest 0, beyond the newest 1 byte', count: 1, bytes: 10 },
  ]);
  expect(await reasonOf({})).toMatchObject([{ text: expect.stringContaining('older than 2026-10-31T12:00:00.000Z') }]);
});

it('many groups give a hundred reasons, and one for the others', async () => {
  const records = Array.from({ length: 150 }, (_, id) => recordOf(id, { timestamp: NOW - (40 + id) * DAY, size: 1 }));
  const second = records.map(({ timestamp }, id) => recordOf(200 + id, { timestamp, size: 1 }));
  const catalog = await catalogWith([...records, ...second]);
  const rules = rulesOfPolicy(policyWith({ keepLast: 1, groupBy: 'day' }), NOW);
  const { reasons, deletedCount } = await cleanUp(catalog, rules, { dryRun: true, remove: async () => true });
  expect(deletedCount).toBe(150);
  expect(reasons).toHaveLength(101);
  expect(reasons.at(-1)).toEqual({ text: 'in other groups, for the same reasons', count: 50, bytes: 50 });
});
