/** How a catalog opens after clean stops, crashes and damage, how one is created, and what can be read of a lost one. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CatalogReader } from '../../src/storage/catalog/sqlite/reader.ts';
import { openCatalog } from '../../src/storage/catalog/sqlite/worker-catalog.ts';
import { CatalogWriter } from '../../src/storage/catalog/sqlite/writer.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';
import {
  buildInThreads,
  createWith,
  deleteOf,
  insertOf,
  openInWorkers,
  overwrite,
  WHOLE_PAGE as PAGE,
  LARGE_RECORDS as RECORDS,
  recordOf,
  STORE_ID,
  T0,
  tamper,
  temporaryCatalog,
} from './catalogs.ts';

let path: string;
let release: () => void;

beforeEach(() => {
  ({ path, release } = temporaryCatalog());
});
afterEach(() => release());

const open = () => openCatalog({ path, storeId: STORE_ID });
const openWriter = () => new CatalogWriter({ path, storeId: STORE_ID }).open();

async function reopened(): Promise<{ clean: boolean; filenames: string[] }> {
  const opened = await open();
  if (opened.state === 'lost') throw new Error(opened.why);
  const { records } = await opened.catalog.page({ order: 'oldest' }, PAGE);
  await opened.catalog.close(false);
  return { clean: opened.clean, filenames: records.map(({ filename }) => filename) };
}

/** What a killed process leaves: the files as they are while it runs. */
async function killed(records: ImageRecord[]): Promise<void> {
  const running = `${path}.running`;
  createWith(running);
  const catalog = await openInWorkers(running);
  await catalog.commit(records.map(insertOf));
  for (const suffix of ['', '-wal']) copyFileSync(running + suffix, path + suffix);
  await catalog.close(false);
}

describe('opening', () => {
  it('tells a clean stop from a crash, and loses nothing in either', async () => {
    createWith(path, RECORDS.slice(0, 2));
    expect(await reopened()).toMatchObject({ clean: true });
    expect(await reopened()).toMatchObject({ clean: false });
    const catalog = await openInWorkers(path);
    await catalog.commit([insertOf(RECORDS[2]!)]);
    await catalog.close(true);
    expect(existsSync(`${path}-wal`)).toBe(false);
    expect(await reopened()).toEqual({ clean: true, filenames: RECORDS.slice(0, 3).map(({ filename }) => filename) });
  });

  it('has after a kill all that was committed', async () => {
    await killed(RECORDS);
    expect(await reopened()).toEqual({ clean: false, filenames: RECORDS.map(({ filename }) => filename) });
  });

  it.each<[string, () => void]>([
    ['missing', () => {}],
    ['empty', () => writeFileSync(path, '')],
    ['text', () => writeFileSync(path, 'not a database at all, '.repeat(1000))],
    ['another database', () => tamper(path, 'CREATE TABLE images (seq)')],
  ])('calls a file that is %s lost', async (_, prepare) => {
    prepare();
    expect(openWriter()).toMatchObject({ state: 'lost' });
    expect(await open()).toMatchObject({ state: 'lost' });
  });

  it.each<[string, () => void]>([
    ['of another store', () => tamper(path, "UPDATE store SET value = 'another' WHERE name = 'store_id'")],
    ['cut to half', () => truncateSync(path, statSync(path).size / 2)],
    ['cut within its first page', () => truncateSync(path, 1000)],
    ['overwritten at its beginning', () => overwrite(path, 0, 0.1)],
  ])('calls a cleanly closed catalog %s lost', async (_, damage) => {
    createWith(path, RECORDS);
    damage();
    expect(openWriter()).toMatchObject({ state: 'lost' });
    expect(await open()).toMatchObject({ state: 'lost' });
  });

  it.each<[string, () => void]>([
    ['with garbage in the middle', () => overwrite(path, 0.4, 0.6)],
    ['cut to half', () => truncateSync(path, statSync(path).size / 2)],
  ])('calls a catalog %s lost after a crash', async (_, damage) => {
    createWith(path, RECORDS);
    await reopened();
    damage();
    expect(openWriter()).toMatchObject({ state: 'lost' });
    expect(await open()).toMatchObject({ state: 'lost' });
  });

  it('leaves the catalog of a newer version as it is', async () => {
    createWith(path, RECORDS);
    tamper(path, 'PRAGMA user_version = 99');
    const before = readFileSync(path);
    expect(openWriter).toThrow(expect.objectContaining({ name: 'StoreOpenError', kind: 'config' }));
    await expect(open()).rejects.toMatchObject({ name: 'StoreOpenError', kind: 'config' });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('never calls a catalog lost that it cannot reach', async () => {
    mkdirSync(`${path}/within`, { recursive: true });
    expect(openWriter).toThrow(expect.objectContaining({ name: 'StoreOpenError', kind: 'io' }));
    await expect(open()).rejects.toMatchObject({ name: 'StoreOpenError', kind: 'io' });
  });
});

describe('creating', () => {
  it('keeps the first of two images with one name or one key, and what was deleted stays so', async () => {
    const gone = recordOf(1, { idempotencyKey: 'gone' });
    const [kept, other] = [
      recordOf(2, { idempotencyKey: 'k', tags: ['t', 't'] }),
      recordOf(3, { idempotencyKey: 'k' }),
    ];
    await buildInThreads(async (builder) => {
      const created = await builder.create({ path, storeId: STORE_ID });
      await created.loadTombstones([{ record: gone, deleteTime: T0, unlinkPending: true }]);
      await created.load([gone, kept, other, { ...kept, prompt: 'again' }]);
      await created.seal();
    });

    const catalog = await openInWorkers(path);
    const { records } = await catalog.page({ order: 'oldest' }, PAGE);
    expect(records).toEqual([kept, { ...other, idempotencyKey: '' }]);
    expect(await catalog.findByKey('gone')).toEqual({ record: gone, deleted: true });
    expect(await catalog.pendingUnlinks(10)).toMatchObject([{ filename: gone.filename, inTrash: false }]);
    expect(await catalog.statistics()).toMatchObject({ count: 2, bytes: kept.size + other.size });
    await catalog.close(true);
  });

  it('refuses to overwrite, and is not misled by the WAL of an earlier file', async () => {
    await killed(RECORDS);
    const created = buildInThreads((builder) => builder.create({ path, storeId: STORE_ID }));
    await expect(created).rejects.toMatchObject({ name: 'StoreOpenError' });
    const fresh = `${path}.new`;
    copyFileSync(`${path}-wal`, `${fresh}-wal`);
    createWith(fresh);
    expect(await openCatalog({ path: fresh, storeId: STORE_ID }).then(closed)).toMatchObject({
      state: 'open',
      count: 0,
    });
  });
});

async function closed(opened: Awaited<ReturnType<typeof openCatalog>>) {
  if (opened.state === 'lost') return opened;
  const { count } = await opened.catalog.statistics();
  await opened.catalog.close(true);
  return { state: opened.state, count };
}

function salvageInWorker(from: string) {
  return buildInThreads((builder) => builder.salvage(from));
}

function salvageInThread(from: string) {
  const reader = new CatalogReader({ path: from });
  reader.open();
  const tombstones = reader.tombstones();
  reader.close();
  return tombstones;
}

describe('salvage', () => {
  it.each([
    ['in its thread', salvageInThread],
    ['in a worker', salvageInWorker],
  ])('reads the tombstones of a damaged catalog, %s', async (_, salvage) => {
    createWith(path, RECORDS);
    const catalog = await openInWorkers(path);
    const gone = RECORDS.filter((_, index) => index % 4 === 0);
    await catalog.commit(gone.map((record) => deleteOf(record)));
    await catalog.close(false);
    const whole = await salvage(path);
    expect(whole).toHaveLength(gone.length);
    expect(whole).toContainEqual({ record: gone[0], deleteTime: T0, unlinkPending: true });

    overwrite(path, 0.5, 0.6);
    const rest = await salvage(path);
    expect(rest.length).toBeGreaterThan(0);
    expect(whole).toEqual(expect.arrayContaining(rest));
  });

  it('finds none where nothing can be read, and creates nothing', async () => {
    expect(await salvageInWorker(path)).toEqual([]);
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, 'garbage'.repeat(1000));
    expect(await salvageInWorker(path)).toEqual([]);
  });
});
