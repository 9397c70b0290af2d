/** The contract of the catalog of an object store, over a real Postgres. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CatalogQuery, CatalogTotals } from '../../src/storage/catalog/catalog.ts';
import { Pool, schemaOf, type Transaction } from '../../src/storage/catalog/postgres/pool.ts';
import { openPostgresCatalog } from '../../src/storage/catalog/postgres/postgres-catalog.ts';
import { IndexReader } from '../../src/storage/catalog/postgres/reader.ts';
import { openSharedIndex, type SharedIndex } from '../../src/storage/catalog/postgres/shared-index.ts';
import { IndexState } from '../../src/storage/catalog/postgres/state.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';
import { ask, type PostgresServer, postgresAvailable, startPostgres } from '../support/postgres.ts';
import { requires } from '../support/requires.ts';
import { full, seed } from '../support/scale.ts';
import { itIsABucketCatalog } from './bucket-catalog-suite.ts';
import { createWith, openInThread, openInWorkers, T0, temporaryCatalog } from './catalogs.ts';
import { type Example, found } from './search-model.ts';
import { anyQuery as anyWords, exampleOf, HOSTILE, randomFrom } from './searched-examples.ts';

const COUNT = 500;
const RANDOM_QUERIES = full ? 2000 : 150;
const random = randomFrom(seed);
const examples = Array.from({ length: COUNT }, (_, id) => exampleOf(id, random));

requires('Postgres 15 or newer', postgresAvailable)('a catalog in Postgres', () => {
  let server: PostgresServer;
  let url: string;
  let stores = 0;

  beforeAll(async () => {
    server = await startPostgres();
    url = await server.createDatabase();
  });
  afterAll(() => server?.stop());

  describe('of a bucket', () => {
    itIsABucketCatalog(() => {
      const { path, release } = temporaryCatalog();
      createWith(path);
      const storeId = `store-${stores++}`;
      return {
        open: async () =>
          openPostgresCatalog({
            index: await openSharedIndex({ url, storeId, now: () => T0 }),
            operations: await openInWorkers(path),
            onState: (error) => error && console.error(error, error.cause),
            onUnwritten: () => {},
          }),
        release,
      };
    });
  });

  it('has the last of several changes of an image that are written at once', async () => {
    const index = await openSharedIndex({ url, storeId: 'at-once', now: () => T0 });
    try {
      const { record } = examples[0]!;
      const change = (revision: number, over?: string) => ({
        kind: 'found' as const,
        filename: record.filename,
        found: { kind: 'live' as const, etag: `e${revision}`, record: { ...record, revision } },
        ...(over !== undefined && { over }),
      });
      await index.applyAll([change(1)]);
      for (let revision = 1; revision < 40; revision += 3) {
        const others = [1, 2, 3].map((by) => index.applyAll([change(revision + by, `e${revision}`)]));
        await Promise.all(others);
        expect(await index.known(record.filename)).toMatchObject({ etag: `e${revision + 3}` });
      }
    } finally {
      await index.end();
    }
  });

  describe('with several slices', () => {
    const storeId = 'several-slices';
    let index: SharedIndex;
    let scansBefore: number;
    let collecting: number;
    beforeAll(async () => {
      index = await openSharedIndex({ url, storeId, now: () => T0, sliceImages: 200 });
      await fill(
        index,
        examples.map(({ record }) => record),
      );
      collecting = await collectingIn(storeId);
      await index.applyAll([{ kind: 'filled' }]);
      for (let round = 0; round < 2; round += 1) await index.tidy();
      await index.end();
      scansBefore = (await scansOf(storeId)).scans;
      index = await openSharedIndex({ url, storeId, now: () => T0 });
    });

    /** Returns how many text indexes collect words instead of having them. */
    async function collectingIn(store: string): Promise<number> {
      const sql = `SELECT count(*)::int AS count FROM pg_indexes
        WHERE schemaname = '${schemaOf(store)}' AND indexdef LIKE '%USING gin%' AND indexdef NOT LIKE '%(fastupdate=off)%'`;
      const [found] = await ask(url, sql);
      return (found as { count: number }).count;
    }

    /** As of closed connections; one of each index that was built is among them. */
    async function scansOf(store: string) {
      const sql = `SELECT sum(seq_scan)::int AS scans, sum(idx_scan)::int AS lookups FROM pg_stat_user_tables
        WHERE schemaname = '${schemaOf(store)}' AND relname LIKE 'slice\\_%'`;
      const [found] = await ask(url, sql);
      return found as { scans: number; lookups: number };
    }

    const listed = async (query: Partial<CatalogQuery>): Promise<string[]> => {
      const sizes = await index.pageSizes({ order: 'oldest', ...query }, { limit: COUNT });
      return sizes.map(({ filename }) => filename);
    };

    it('has its words in the text indexes once it is filled, which it collects until then', async () => {
      expect(collecting).toBeGreaterThan(0);
      expect(await collectingIn(storeId)).toBe(0);
    });

    it('has few images in each', async () => {
      const slices = await ask(url, `SELECT name, count FROM ${schemaOf(storeId)}.sums WHERE kind = 'slice'`);
      const counts = slices.map(({ count }) => Number(count));
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(COUNT);
      expect(Math.max(...counts)).toBeLessThanOrEqual(200);
    });

    it(`answers ${RANDOM_QUERIES} random queries, and hostile ones, as they read`, async () => {
      const numbers: number[] = [];
      const random_ = [...HOSTILE, ...Array.from({ length: RANDOM_QUERIES }, () => anyWords(random, examples))];
      for (const query of random_) {
        const expected = namesOf(found(query, examples));
        expect(await listed({ query }), query).toEqual(expected);
        numbers.push(expected.length);
      }
      // Neither nothing nor everything.
      expect(numbers.filter((number) => number > 0 && number < COUNT).length).toBeGreaterThan(RANDOM_QUERIES / 4);
    });

    it('lists the same page by page, in either order, and gives the settings of each image', async () => {
      const settings = new Map(examples.map(({ record, generation }) => [record.filename, generation]));
      for (const order of ['newest', 'oldest'] as const) {
        const names: string[] = [];
        let after: { timestamp: number; filename: string } | undefined;
        for (let more = true; more; ) {
          const page = await index.page(
            { order, query: 'fox OR -fox' },
            { limit: 70, maxBytes: 1 << 20, ...(after && { after }) },
          );
          for (const { filename, generation } of page.records) expect(generation ?? {}).toEqual(settings.get(filename));
          names.push(...page.records.map(({ filename }) => filename));
          [after, more] = [page.records.at(-1), page.more];
        }
        const expected = namesOf(examples);
        expect(names).toEqual(order === 'oldest' ? expected : expected.toReversed());
      }
    });

    it('lists, counts and sums up what a catalog in SQLite does, by filters and groups of every kind', async () => {
      const { path, release } = temporaryCatalog();
      createWith(
        path,
        examples.map(({ record }) => record),
      );
      const sqlite = await openInThread(path);
      const pick = <T>(...values: T[]) => values[random(values.length)]!;
      const [{ record }] = examples as [Example];
      for (let round = 0; round < (full ? 500 : 50); round += 1) {
        const start = pick(undefined, undefined, examples[random(COUNT)]!.record.timestamp);
        const query: CatalogQuery = {
          order: pick('newest', 'oldest'),
          query: pick('', '', 'fox', '-fox', anyWords(random, examples)),
          ...(pick(true, false) && { model: examples[random(COUNT)]!.record.model }),
          ...pick({}, {}, { category: 'portrait' }, { pinned: pick(true, false) }, { tags: record.tags }),
          ...(start !== undefined && { start, end: start + random(1e9) }),
          ...pick({}, {}, {}, { only: Array.from({ length: 40 }, () => examples[random(COUNT)]!.record.filename) }),
        };
        const by = pick(undefined, 'day', 'month', 'model', 'category', 'tag', 'lora' as const);
        const grouping = { limit: 1000, ...(by && { by }), timeZone: pick('UTC', 'Asia/Kolkata', 'Europe/Berlin') };
        const sizes = { limit: 1 + random(COUNT), group: pick(undefined, 'model', 'category' as const) };
        const about = JSON.stringify([query, grouping]);
        expect(await index.pageSizes(query, sizes), about).toEqual(await sqlite.pageSizes(query, sizes));
        // A count of named images is never asked for.
        const { only: _, ...counted } = query;
        const expected = sorted(await sqlite.totals(counted, grouping));
        expect(sorted(await index.totals(counted, grouping)), about).toEqual(expected);
      }
      expect(await index.statistics()).toEqual(await sqlite.statistics());
      await sqlite.close(true);
      release();
    });

    it('carries out no read by going through a table', async () => {
      const plans = new Map<string, string>();
      const pool = new ExplainingPool(url, storeId, plans);
      const standing = await pool.read((transaction) =>
        new IndexState(
          undefined,
          () => {},
          () => T0,
        ).checkWhole(transaction),
      );
      const reader = new IndexReader(pool, { checkWhole: async () => standing });
      const [{ record }] = examples as [Example];
      const { filename, timestamp } = record;
      const queries = [
        '',
        'fox',
        '"fox a"',
        '-fox',
        'fox OR seed:7',
        'model:flux steps:>=20',
        'has:workflow',
        'after:2020-01-01 fo',
      ];
      const filters: Partial<CatalogQuery>[] = [
        { model: record.model },
        { category: 'portrait' },
        { pinned: true },
        { tags: ['keeper'] },
        { start: timestamp, end: timestamp + 1e9 },
        { only: [filename] },
      ];
      const asked = [
        ...queries.map((query) => ({ query })),
        ...filters,
        ...filters.map((filter) => ({ query: 'fox', ...filter })),
      ];
      for (const each of asked) {
        for (const order of ['newest', 'oldest'] as const) {
          await reader.page({ order, ...each }, { limit: 3, maxBytes: 1 << 20, after: { timestamp, filename } });
          await reader.pageSizes({ order, ...each }, { limit: 3, group: 'model' });
        }
        await reader.totals({ order: 'newest', ...each }, { limit: 3, by: 'day', timeZone: 'UTC' });
      }
      await reader.page({ order: 'newest' }, { limit: 3, maxBytes: 1 << 20, view: 'row' });
      await reader.statistics();
      await reader.find(filename);
      await reader.findByKey('key');
      await reader.findTrashed(filename);
      await reader.trashPage('', { limit: 3, maxBytes: 1 << 20 });
      await reader.dueTrash(3);
      await reader.expired(3, T0);
      await reader.arrivedSince([filename], 0);
      await reader.known(filename);
      await reader.knownBetween({ after: 'outputs/', upTo: 'p', limit: 3 });
      await reader.dueSweeps(T0, 3);
      await reader.unhashed(T0, 3);
      await pool.end();
      // All deltas count that are not folded yet.
      const scanning = [...plans].filter(([, plan]) => /Seq Scan on (?!sum_deltas)/.test(plan));
      expect(scanning).toEqual([]);
      expect([...plans.values()].join()).toMatch(/Bitmap Index Scan on slice_\d+_words/);
      expect(plans.size).toBeGreaterThan(50);
    });

    it('reads no slice from one end to the other', async () => {
      await index.end();
      const { scans, lookups } = await scansOf(storeId);
      expect(scans).toBe(scansBefore);
      expect(lookups).toBeGreaterThan(RANDOM_QUERIES);
    });
  });
});

/** Asks the server how it carries out each statement that is read by, and keeps its answers. */
class ExplainingPool extends Pool {
  readonly #plans: Map<string, string>;

  constructor(url: string, storeId: string, plans: Map<string, string>) {
    super(url, storeId, async () => {});
    this.#plans = plans;
  }

  override read<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return super.read((transaction) => work(this.#explaining(transaction)));
  }

  override readSoon<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return super.readSoon((transaction) => work(this.#explaining(transaction)));
  }

  #explaining(transaction: Transaction): Transaction {
    return {
      rows: async (sql, values) => {
        const plan = await transaction.rows<{ 'QUERY PLAN': string }>(`EXPLAIN ${sql}`, values);
        this.#plans.set(sql.replace(/\s+/g, ' '), plan.map((row) => row['QUERY PLAN']).join('\n'));
        return transaction.rows(sql, values);
      },
    };
  }
}

async function fill(index: SharedIndex, records: readonly ImageRecord[]): Promise<void> {
  const changes = records.map((record) => ({
    kind: 'found' as const,
    filename: record.filename,
    found: { kind: 'live' as const, etag: 'e', record },
  }));
  // The first begins to collect words, which those after it add to.
  for (const from of [0, 200, 400]) {
    const groups = [changes.slice(from, from + 100), changes.slice(from + 100, from + 200)];
    await Promise.all(groups.map((group) => index.fill(group)));
  }
}

/** Groups of as many images are in any order. */
function sorted({ groups, ...totals }: CatalogTotals) {
  return { ...totals, groups: groups.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
}

function namesOf(some: readonly Example[]): string[] {
  return some
    .map(({ record }) => record)
    .sort((a, b) => a.timestamp - b.timestamp || (a.filename < b.filename ? -1 : 1))
    .map(({ filename }) => filename);
}
