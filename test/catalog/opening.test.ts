/** How a catalog opens after clean stops, crashes and damage, and what it does when it is hurt while running. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Connection } from '../../src/storage/catalog/sqlite/connection.ts';
import { CatalogReader } from '../../src/storage/catalog/sqlite/reader.ts';
import { openCatalog } from '../../src/storage/catalog/sqlite/worker-catalog.ts';
import { CatalogWriter } from '../../src/storage/catalog/sqlite/writer.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';
import {
  buildInThreads,
  createWith,
  deleteOf,
  insertOf,
  openInThread,
  openInWorkers,
  recordOf,
  STORE_ID,
  startedWorkers,
  T0,
  temporaryCatalog,
} from './catalogs.ts';

let path: string;
let release: () => void;

beforeEach(() => {
  ({ path, release } = temporaryCatalog());
});
afterEach(() => release());

const RECORDS = Array.from({ length: 200 }, (_, id) =>
  recordOf(id, { prompt: 'a red fox', parametersJson: `"${'x'.repeat(3000)}"` }),
);
/** What a save meets: the row that says where the words are. */
const DAMAGE_SEARCH_STRUCTURE = "UPDATE prompts_data SET block = x'0000000005ffffffffff' WHERE id = 10";
/** What a search meets: the words. */
const DAMAGE_SEARCH_WORDS = "UPDATE prompts_data SET block = x'ffffffff' WHERE id > 1000";
const PAGE = { limit: 1000, maxBytes: 1 << 30 };
const MIB = 1024 * 1024;
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

/** Changes a closed catalog behind its back. */
function tamper(sql: string): void {
  const db = new DatabaseSync(path, { defensive: false });
  db.exec(sql);
  db.close();
}

function overwrite(from: number, to: number): void {
  const bytes = readFileSync(path);
  bytes.fill(0x5a, Math.floor(bytes.length * from), Math.floor(bytes.length * to));
  writeFileSync(path, bytes);
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
    ['another database', () => tamper('CREATE TABLE images (seq)')],
  ])('calls a file that is %s lost', async (_, prepare) => {
    prepare();
    expect(openWriter()).toMatchObject({ state: 'lost' });
    expect(await open()).toMatchObject({ state: 'lost' });
  });

  it.each<[string, () => void]>([
    ['of another store', () => tamper("UPDATE store SET value = 'another' WHERE name = 'store_id'")],
    ['cut to half', () => truncateSync(path, statSync(path).size / 2)],
    ['cut within its first page', () => truncateSync(path, 1000)],
    ['overwritten at its beginning', () => overwrite(0, 0.1)],
  ])('calls a cleanly closed catalog %s lost', async (_, damage) => {
    createWith(path, RECORDS);
    damage();
    expect(openWriter()).toMatchObject({ state: 'lost' });
    expect(await open()).toMatchObject({ state: 'lost' });
  });

  it.each<[string, () => void]>([
    ['with garbage in the middle', () => overwrite(0.4, 0.6)],
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
    tamper('PRAGMA user_version = 99');
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

describe('a write-ahead log', () => {
  const SAVES = 60;
  /** Its commits fill the log often enough for several checkpoints. */
  const large = (id: number) => recordOf(1000 + id, { parametersJson: `"${'x'.repeat(1 << 18)}"` });
  const copy = (from: string, to: string) => {
    for (const suffix of ['', '-wal']) copyFileSync(from + suffix, to + suffix);
  };

  /** Copies of a running catalog before and after several checkpoints. */
  async function copiesOfRunning(): Promise<{ early: string; late: string; filenames: string[] }> {
    const [running, early, late] = [`${path}.running`, `${path}.early`, `${path}.late`];
    createWith(running);
    const catalog = await openInWorkers(running);
    await catalog.raiseGeneration(0);
    await catalog.commit([insertOf(large(0))]);
    copy(running, early);
    for (let id = 1; id < SAVES; id += 1) await catalog.commit([insertOf(large(id))]);
    copy(running, late);
    await catalog.close(false);
    return { early, late, filenames: Array.from({ length: SAVES }, (_, id) => large(id).filename) };
  }

  const opened = async () => {
    const found = await open();
    if (found.state === 'lost') throw new Error(found.why);
    const { records } = await found.catalog.page({ order: 'oldest' }, PAGE);
    await found.catalog.close(false);
    return { whole: found.whole, filenames: records.map(({ filename }) => filename) };
  };

  it('of the same moment is replayed', async () => {
    const { early, late, filenames } = await copiesOfRunning();
    copy(early, path);
    expect(await opened()).toEqual({ whole: true, filenames: filenames.slice(0, 1) });
    copy(late, path);
    expect(await opened()).toEqual({ whole: true, filenames });
  });

  it.each([
    ['newer', 'early', 'late'],
    ['older', 'late', 'early'],
  ] as const)('that is %s than the database is put aside instead of replayed', async (_, main, log) => {
    const { filenames, ...copies } = await copiesOfRunning();
    copyFileSync(copies[main], path);
    copyFileSync(`${copies[log]}-wal`, `${path}-wal`);
    const found = await opened();
    expect(found.whole).toBe(false);
    expect(filenames.slice(0, found.filenames.length)).toEqual(found.filenames);
    expect(existsSync(`${path}-wal.aside`)).toBe(true);
  });

  it('that is left beside a catalog that was closed clean is put aside', async () => {
    const { early } = await copiesOfRunning();
    createWith(path, RECORDS);
    tamper("DELETE FROM store WHERE name = 'generation'");
    copyFileSync(`${early}-wal`, `${path}-wal`);
    expect((await opened()).filenames).toHaveLength(RECORDS.length);
  });

  it('of a version that raises no generation is never replayed over an older database unseen', async () => {
    // In no order, so that a commit touches few pages.
    const small = (id: number) => recordOf((id * 7919) % 1000, { prompt: `a fox ${id}` });
    const [first, sessions] = [150, 12];
    createWith(
      path,
      Array.from({ length: first }, (_, id) => small(id)),
    );
    const truth: string[][] = [];
    for (let session = 0; session < sessions; session += 1) {
      tamper("DELETE FROM store WHERE name = 'generation'");
      copyFileSync(path, `${path}.${session}`);
      const writer = new CatalogWriter({ path, storeId: STORE_ID });
      writer.open();
      writer.commit([insertOf(small(first + session))]);
      copyFileSync(`${path}-wal`, `${path}.${session}-wal`);
      writer.close(true);
      truth.push(Array.from({ length: first + session + 1 }, (_, id) => small(id).filename).sort());
    }
    let unseenByQuickCheck = 0;
    for (let log = 0; log < sessions; log += 1) {
      for (let main = 0; main <= log; main += 1) {
        const mix = () => {
          for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
          copyFileSync(`${path}.${main}`, path);
          copyFileSync(`${path}.${log}-wal`, `${path}-wal`);
        };
        mix();
        const db = new DatabaseSync(path);
        if (main < log && db.prepare('PRAGMA quick_check(1)').get()?.quick_check === 'ok') unseenByQuickCheck += 1;
        db.close();
        mix();
        const catalog = await openInThread(path).catch((error: Error) => error.message);
        if (typeof catalog === 'string') {
          expect([main < log, catalog]).toEqual([true, expect.stringMatching(/^lost: damaged/)]);
          continue;
        }
        const names = truth[log]!;
        for (const query of ['', 'fox']) {
          const { records } = await catalog.page({ order: 'oldest', query }, PAGE);
          expect({ main, log, names: records.map(({ filename }) => filename).sort() }).toEqual({ main, log, names });
        }
        expect((await catalog.statistics()).count).toBe(names.length);
        expect(await catalog.rowStates(names)).toEqual(names.map(() => 'live'));
        await catalog.close(false);
      }
    }
    expect(unseenByQuickCheck).toBeGreaterThan(0);
  });

  it('that is gone after a crash is told from one that a clean close removed', async () => {
    const { early } = await copiesOfRunning();
    copyFileSync(early, path);
    expect(await opened()).toMatchObject({ whole: false });
    createWith(`${path}.clean`, RECORDS);
    copyFileSync(`${path}.clean`, path);
    expect(await opened()).toMatchObject({ whole: true });
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
    expect(await catalog.pendingUnlinks(10)).toEqual([gone]);
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

    overwrite(0.5, 0.6);
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

describe('while running', () => {
  it.each([
    ['in its thread', openInThread],
    ['in workers', openInWorkers],
  ])('builds a damaged table of searches again when a save meets it, %s', async (_, openWith) => {
    createWith(path, RECORDS);
    tamper(DAMAGE_SEARCH_STRUCTURE);
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
    tamper(DAMAGE_SEARCH_WORDS);
    const catalog = await openInWorkers(path);
    const search = () => catalog.page({ order: 'newest', query: 'fox' }, PAGE);
    const pages = await Promise.all([search(), search(), search()]);
    for (const { records } of pages) expect(records).toHaveLength(RECORDS.length);
    await catalog.close(true);
  });

  it('says that the catalog is damaged when more than that is', async () => {
    createWith(path, RECORDS);
    overwrite(0.3, 0.9);
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
    expect((await reopened()).clean).toBe(false);
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
