/** What a running catalog does when it is damaged, read on and on, or loses a thread. */
import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Connection } from '../../src/storage/catalog/sqlite/connection.ts';
import { openCatalog } from '../../src/storage/catalog/sqlite/worker-catalog.ts';
import {
  createWith,
  deleteOf,
  insertOf,
  openInThread,
  openInWorkers,
  overwrite,
  WHOLE_PAGE as PAGE,
  LARGE_RECORDS as RECORDS,
  recordOf,
  STORE_ID,
  startedWorkers,
  tamper,
  temporaryCatalog,
} from './catalogs.ts';

let path: string;
let release: () => void;

beforeEach(() => {
  ({ path, release } = temporaryCatalog());
});
afterEach(() => release());

/** What a save meets: the row that says where the words are. */
const DAMAGE_SEARCH_STRUCTURE = "UPDATE prompts_data SET block = x'0000000005ffffffffff' WHERE id = 10";
/** What a search meets: the words. */
const DAMAGE_SEARCH_WORDS = "UPDATE prompts_data SET block = x'ffffffff' WHERE id > 1000";
const MIB = 1024 * 1024;

describe('while running', () => {
  it.each([
    ['in its thread', openInThread],
    ['in workers', openInWorkers],
  ])('builds a damaged table of searches again when a save meets it, %s', async (_, openWith) => {
    createWith(path, RECORDS);
    tamper(path, DAMAGE_SEARCH_STRUCTURE);
    const catalog = await openWith(path);
    const added = recordOf(500, { prompt: 'a foxglove' });
    expect(await catalog.commit([deleteOf(RECORDS[0]!), insertOf(added)])).toMatchObject([
      { done: true },
      { done: true },
    ]);
    const { records } = await catalog.page({ order: 'newest', query: 'fox' }, PAGE);
    expect(records.map(({ filename }) => filename)).toEqual(
      [added, ...RECORDS.slice(1).reverse()].map(({ filename }) => filename),
    );
    await catalog.close(true);
  });

  it('builds it again when searches meet it', async () => {
    createWith(path, RECORDS);
    tamper(path, DAMAGE_SEARCH_WORDS);
    const catalog = await openInWorkers(path);
    const search = () => catalog.page({ order: 'newest', query: 'fox' }, PAGE);
    const pages = await Promise.all([search(), search(), search()]);
    for (const { records } of pages) expect(records).toHaveLength(RECORDS.length);
    await catalog.close(true);
  });

  it('says that the catalog is damaged when more than that is', async () => {
    createWith(path, RECORDS);
    overwrite(path, 0.3, 0.9);
    const catalog = await openInWorkers(path);
    await expect(catalog.page({ order: 'newest' }, PAGE)).rejects.toMatchObject({
      name: 'CatalogError',
      failure: 'corrupt',
    });
    await catalog.close(false).catch(() => {});
  });

  it('keeps the WAL small under a steady reader', async () => {
    createWith(
      path,
      Array.from({ length: 6000 }, (_, id) => recordOf(id)),
    );
    const catalog = await openInWorkers(path);
    let writing = true;
    const read = async () => {
      // Another name of the same slug: every row is read, and none is found.
      while (writing) await catalog.pageSizes({ order: 'oldest', model: 'FLUX schnell' }, { limit: 1 });
    };
    const reading = [read(), read(), read()];
    const parametersJson = `"${'x'.repeat(MIB)}"`;
    const sizes: number[] = [];
    for (let id = 0; id < 80; id += 1) {
      await catalog.commit([insertOf(recordOf(10_000 + id, { parametersJson }))]);
      sizes.push(statSync(`${path}-wal`).size);
    }
    // It is emptied once it exceeds 32 MiB, which is looked at whenever it has grown by 4 MiB.
    expect(Math.max(...sizes)).toBeLessThan(38 * MIB);
    expect(sizes.some((size, at) => size < (sizes[at - 1] ?? 0))).toBe(true);
    writing = false;
    await Promise.all(reading);
    await catalog.close(true);
  });

  it('lets commits go on while somebody else reads on and on', async () => {
    createWith(path, RECORDS);
    const catalog = await openInWorkers(path);
    const other = new Connection(path, true);
    other.open();
    other.exec('BEGIN');
    other.value('SELECT count(*) FROM images');
    // A checkpoint that waited for this reader would wait 10 s.
    let waited = false;
    const timer = setTimeout(() => {
      waited = true;
    }, 9000);
    const parametersJson = `"${'x'.repeat(1 << 20)}"`;
    for (let id = 0; id < 40; id += 1) await catalog.commit([insertOf(recordOf(10_000 + id, { parametersJson }))]);
    clearTimeout(timer);
    expect(waited).toBe(false);
    other.close();
    await catalog.close(true);
    expect(existsSync(`${path}-wal`)).toBe(false);
  });

  it('lets every call end, and tells, when a thread dies', async () => {
    createWith(path, RECORDS);
    const { workers, stop } = startedWorkers();
    const deaths: Error[] = [];
    const catalog = await openInWorkers(path, (error) => deaths.push(error));
    stop();

    const commit = catalog.commit(RECORDS.map((record) => deleteOf(record)));
    const page = catalog.page({ order: 'newest' }, PAGE);
    await Promise.all([
      expect(commit).rejects.toMatchObject({ name: 'CatalogError', failure: 'unknown' }),
      expect(page).rejects.toMatchObject({ name: 'CatalogError', failure: 'definite' }),
      ...workers.map((worker) => worker.terminate()),
    ]);
    expect(deaths).toHaveLength(2);
    await expect(catalog.commit([])).rejects.toMatchObject({ failure: 'definite' });
    await expect(catalog.close(true)).rejects.toMatchObject({ failure: 'definite' });
    const opened = await openCatalog({ path, storeId: STORE_ID });
    expect(opened).toMatchObject({ state: 'open', clean: false });
    if (opened.state === 'open') await opened.catalog.close(false);
  });

  it('answers the reads that run when it is closed', async () => {
    createWith(path, RECORDS);
    const catalog = await openInWorkers(path);
    const page = catalog.page({ order: 'newest', query: 'fox' }, PAGE);
    await Promise.all([catalog.close(true), catalog.close(true)]);
    expect((await page).records).toHaveLength(RECORDS.length);
    expect(existsSync(dirname(path))).toBe(true);
  });
});
