/** Whether a catalog replays the write-ahead log that it finds, or puts it aside. */
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCatalog } from '../../src/storage/catalog/sqlite/worker-catalog.ts';
import { CatalogWriter } from '../../src/storage/catalog/sqlite/writer.ts';
import {
  createWith,
  insertOf,
  openInThread,
  openInWorkers,
  WHOLE_PAGE as PAGE,
  LARGE_RECORDS as RECORDS,
  recordOf,
  STORE_ID,
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
    tamper(path, "DELETE FROM store WHERE name = 'generation'");
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
      tamper(path, "DELETE FROM store WHERE name = 'generation'");
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
