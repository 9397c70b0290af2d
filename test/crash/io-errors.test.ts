/** A disk that fails: what is answered, what the store still does, and what the next start makes of it. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256Of } from '../support/bytes.ts';
import { brokenPromises } from '../support/check-store.ts';
import { filesBelow, loseCatalog } from '../support/files.ts';
import { imageOf, Ledger } from '../support/ledger.ts';
import { works } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';
import { full, seed } from '../support/scale.ts';
import { type ForkedStore, forkStore } from './forked-store.ts';

const OUTCOME_UNKNOWN = { reason: 'STORAGE_IO', code: 'internal', outcomeUnknown: true };
const EXIT_IO = 74;
/** Longer than until upkeep has synced the folders of a delete. */
const UPKEEP_MS = 1500;

let basePath: string;
let ledger: Ledger;
beforeEach(async () => {
  basePath = await mkdtemp(join(tmpdir(), 'image-storage-io-'));
  ledger = new Ledger();
});
afterEach(() => rm(basePath, { recursive: true, force: true }));

async function openWithImages(count: number): Promise<ForkedStore> {
  const store = await forkStore({ basePath, trashDays: 0 });
  for (let number = 1; number <= count; number += 1) await ledger.save(store, imageOf(number));
  await store.settled();
  return store;
}

/** Takes no more writes, still answers reads, and touches no file until a restart has decided what was in doubt. */
async function expectReadOnlyUntilRestart(store: ForkedStore): Promise<void> {
  const staged = await stagedFiles();
  expect(await store.health()).toMatchObject({ serving: false });
  const [{ filename, image }] = ledger.live() as [ReturnType<Ledger['live']>[0]];
  await expect(ledger.save(store, imageOf(100))).rejects.toMatchObject({ reason: 'STORE_READ_ONLY' });
  await expect(ledger.delete(store, filename)).rejects.toMatchObject({ reason: 'STORE_READ_ONLY' });
  expect(sha256Of(await store.read(filename))).toBe(image.sha256);
  expect((await store.list()).length).toBeGreaterThanOrEqual(ledger.live().length);
  expect(await stagedFiles()).toEqual(staged);
  await store.close();
  await expectSoundAfterRestart();
}

/** Without what the store tries its disk by now and then. */
async function stagedFiles(): Promise<string[]> {
  const found = await filesBelow(basePath, 'metadata/staging');
  return found.filter((path) => !path.endsWith('.write-test'));
}

/** An image whose save had no clear answer is there or not, and its retry makes exactly one. */
async function expectSoundAfterRestart(): Promise<void> {
  const unanswered = ledger.unanswered();
  expect(await brokenPromises(basePath, ledger)).toEqual([]);
  const store = await forkStore({ basePath });
  for (const image of unanswered) await ledger.save(store, image);
  await store.close();
  expect(await brokenPromises(basePath, ledger)).toEqual([]);
}

async function untilReadOnly(store: ForkedStore): Promise<void> {
  for (let tries = 0; tries < 100 && (await store.health()).serving; tries += 1) await sleep(50);
}

describe('a sync that fails', () => {
  it('of the bytes makes the save a plain failure that leaves nothing, and the store goes on', async () => {
    const store = await openWithImages(3);
    await store.failSyncOf('.part');
    await expect(ledger.save(store, imageOf(4))).rejects.toMatchObject({ reason: 'STORAGE_IO', outcomeUnknown: false });
    expect(await filesBelow(basePath, 'metadata/staging')).toEqual([]);
    expect(await filesBelow(basePath, 'images')).toHaveLength(3);
    await ledger.save(store, imageOf(4));
    await store.close();
    expect(await brokenPromises(basePath, ledger)).toEqual([]);
  });

  it('of a folder leaves the outcome open and makes the store read-only', async () => {
    const store = await openWithImages(3);
    await store.failSyncOf('metadata/staging');
    await expect(ledger.save(store, imageOf(4))).rejects.toMatchObject(OUTCOME_UNKNOWN);
    await expectReadOnlyUntilRestart(store);
  });

  it('of a folder fails every save of its group the same way', async () => {
    const store = await openWithImages(3);
    await store.failSyncOf('metadata/staging');
    const saves = await Promise.allSettled([4, 5, 6, 7].map((number) => ledger.save(store, imageOf(number))));
    const reasons = saves.map((save) => (save.status === 'rejected' ? save.reason : 'saved'));
    expect(reasons).toContainEqual(expect.objectContaining(OUTCOME_UNKNOWN));
    for (const reason of reasons) expect(['STORAGE_IO', 'STORE_READ_ONLY']).toContain(reason.reason);
    await expectReadOnlyUntilRestart(store);
  });

  it('of a new folder does so, too', async () => {
    const store = await openWithImages(3);
    await store.failSyncOf('images/generations');
    const tomorrow = imageOf(4);
    tomorrow.metadata.timestamp = new Date('2024-09-28T00:00:00Z');
    await expect(ledger.save(store, tomorrow)).rejects.toMatchObject(OUTCOME_UNKNOWN);
    await expectReadOnlyUntilRestart(store);
  });
});

/** All, or one of them by the seed. */
const allOrOne = <T>(cases: T[]): T[] => (full ? cases : [cases[seed % cases.length]!]);

describe('a folder sync that fails in a store with a trash', () => {
  /** Returns the folder of its images below the base path, and one of them, which is in the trash. */
  async function openWithTrash(): Promise<{ store: ForkedStore; filename: string; folder: string }> {
    ledger = new Ledger({ trash: true });
    const store = await forkStore({ basePath });
    for (let number = 1; number <= 3; number += 1) await ledger.save(store, imageOf(number));
    const { filename, key } = (await store.list())[0]!;
    const folder = dirname(key.slice('outputs/images/'.length));
    await ledger.delete(store, filename);
    await store.settled();
    return { store, filename, folder };
  }

  it.each(
    allOrOne([
      { which: 'the images', pathIn: (folder: string) => `outputs/images/${folder}` },
      { which: 'the records', pathIn: (folder: string) => `outputs/metadata/${folder}` },
      { which: 'the images of the trash', pathIn: (folder: string) => `metadata/trash/images/${folder}` },
      { which: 'the records of the trash', pathIn: (folder: string) => `metadata/trash/${folder}` },
    ]),
  )('leaves the outcome of a restore open: of $which', async ({ pathIn }) => {
    const { store, filename, folder } = await openWithTrash();
    await sleep(UPKEEP_MS);
    await store.failSyncOf(pathIn(folder).replace('outputs', basename(basePath)));
    await expect(ledger.restore(store, filename)).rejects.toMatchObject(OUTCOME_UNKNOWN);
    await expectReadOnlyUntilRestart(store);
  });

  it.each(
    allOrOne([
      { which: 'the images', pathIn: (folder: string) => `metadata/trash/images/${folder}` },
      { which: 'the records', pathIn: (folder: string) => `metadata/trash/${folder}` },
    ]),
  )('makes the store read-only after a delete: of $which of the trash', async ({ pathIn }) => {
    const { store, folder } = await openWithTrash();
    await store.failSyncOf(pathIn(folder));
    await untilReadOnly(store);
    await expectReadOnlyUntilRestart(store);
  });

  it('does so in a delete that makes a new folder of the trash', async () => {
    const { store } = await openWithTrash();
    const tomorrow = imageOf(4);
    tomorrow.metadata.timestamp = new Date('2024-09-28T00:00:00Z');
    const { filename } = await ledger.save(store, tomorrow);
    await store.settled();
    await store.failSyncOf('metadata/trash/generations');
    expect(await ledger.delete(store, filename)).toBe(true);
    await untilReadOnly(store);
    await expectReadOnlyUntilRestart(store);
  });
});

requires('strace and the right to attach it', works('strace', '-V') && process.getuid?.() === 0)(
  'a failing COMMIT',
  () => {
    it('leaves the outcome of a save open and makes the store read-only', async () => {
      const store = await openWithImages(3);
      await using _ = await inject(store, 'fsync,fdatasync', 'EIO');
      await expect(ledger.save(store, imageOf(4))).rejects.toMatchObject(OUTCOME_UNKNOWN);
      await expectReadOnlyUntilRestart(store);
    });

    it('leaves the outcome of a delete open and makes the store read-only', async () => {
      const store = await openWithImages(3);
      await using _ = await inject(store, 'fsync,fdatasync', 'EIO');
      await expect(ledger.delete(store, ledger.live()[0]!.filename)).rejects.toMatchObject(OUTCOME_UNKNOWN);
      await expectReadOnlyUntilRestart(store);
    });

    it('is no longer trusted once the log could not be copied into the database', async () => {
      const store = await openWithImages(3);
      await using _ = await inject(store, 'fsync,fdatasync', 'EIO', { file: 'catalog.db' });
      const parametersJson = JSON.stringify({ workflow: 'x'.repeat(500_000) });
      let refused = false;
      for (let number = 4; number < 40 && !refused; number += 1) {
        const image = imageOf(number);
        image.metadata.parametersJson = parametersJson;
        refused = await ledger.save(store, image).then(
          () => false,
          () => true,
        );
      }
      expect(refused).toBe(true);
      await expectReadOnlyUntilRestart(store);
    });

    it('is a plain DISK_FULL for want of space, and the store goes on', async () => {
      const store = await openWithImages(3);
      // Once, the commit is tried again behind a copied log.
      await using _ = await inject(store, 'pwrite64', 'ENOSPC', { when: '1..2' });
      await expect(ledger.save(store, imageOf(4))).rejects.toMatchObject({
        reason: 'DISK_FULL',
        outcomeUnknown: false,
      });
      await ledger.save(store, imageOf(4));
      await store.close();
      expect(await brokenPromises(basePath, ledger)).toEqual([]);
    });
  },
);

requires('chattr on ext4, as root', canMakeImmutable())('a file that cannot be moved or removed', () => {
  it('does not bring a deleted image back, and goes once that is possible', async () => {
    const store = await openWithImages(3);
    const path = join(basePath, (await store.list())[0]!.key.slice('outputs/'.length));
    execFileSync('chattr', ['+i', path]);
    const { filename } = (await store.list())[0]!;
    expect(await ledger.delete(store, filename)).toBe(true);
    expect(await store.list()).toHaveLength(2);
    await store.kill();
    const again = await forkStore({ basePath, trashDays: 0 });
    expect(await again.list()).toHaveLength(2);
    await again.close();
    expect(await stat(path)).toBeDefined();
    execFileSync('chattr', ['-i', path]);
    expect(await brokenPromises(basePath, ledger)).toEqual([]);
  });

  it.each([
    { whatever: 'as the catalog says', lose: async () => undefined },
    { whatever: 'even when the catalog is lost', lose: loseCatalog },
  ])('does not undo a save whose record stays in staging, $whatever', async ({ lose }) => {
    const store = await openWithImages(3);
    const folder = dirname(join(basePath, (await filesBelow(basePath, 'metadata/generations'))[0]!));
    const model = (await store.list()).find(({ key }) => folder.includes(key.split('/')[4]!))!.metadata.model;
    execFileSync('chattr', ['+i', folder]);
    const image = imageOf(4);
    image.metadata.model = model;
    const { filename } = await ledger.save(store, image);
    expect(sha256Of(await store.read(filename))).toBe(image.sha256);
    await store.kill();
    execFileSync('chattr', ['-i', folder]);
    await lose(basePath);
    expect(await brokenPromises(basePath, ledger)).toEqual([]);
  });
});

describe('a thread of the catalog that dies', () => {
  it('ends the process with 74, and the next start decides what was in its hands', async () => {
    await (await openWithImages(3)).close();
    const crash = { step: 'folders-synced', nth: 1, only: 'threads' as const };
    const store = await forkStore({ basePath, trashDays: 0, crash });
    await expect(ledger.save(store, imageOf(4))).rejects.toThrow();
    expect(await store.ended).toBe(EXIT_IO);
    await expectSoundAfterRestart();
  });
});

describe('a catalog that is damaged while the store runs', () => {
  it('ends the process with 74, and the next start builds it again', async () => {
    await (await openWithImages(200)).close();
    const store = await forkStore({ basePath, trashDays: 0 });
    await overwriteMiddle(join(basePath, 'metadata/catalog.db'));
    await expect(store.list()).rejects.toThrow();
    expect(await store.ended).toBe(EXIT_IO);
    expect(await filesBelow(basePath, 'metadata')).toContain('metadata/REBUILD');
    expect(await brokenPromises(basePath, ledger)).toEqual([]);
    expect(await filesBelow(basePath, 'metadata')).not.toContain('metadata/REBUILD');
  });
});

/** From when this resolves, the next such system call on the catalog's log, or that file, fails, once. */
async function inject(
  store: ForkedStore,
  calls: string,
  error: string,
  { file = 'catalog.db-wal', when = '1' } = {},
): Promise<AsyncDisposable> {
  const what = [
    '-P',
    join(basePath, 'metadata', file),
    '-e',
    `trace=${calls}`,
    '-e',
    `inject=${calls}:error=${error}:when=${when}`,
  ];
  const strace = spawn('strace', ['-f', '-p', String(await store.pid()), '-o', '/dev/null', ...what]);
  await new Promise<void>((resolve, reject) => {
    strace.once('exit', () => reject(new Error('strace could not attach')));
    strace.stderr.on('data', (text) => String(text).includes('attached') && resolve());
  });
  return {
    async [Symbol.asyncDispose]() {
      if (strace.exitCode !== null || !strace.kill()) return;
      await once(strace, 'exit');
    },
  };
}

async function overwriteMiddle(path: string): Promise<void> {
  const { size } = await stat(path);
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(size / 2, 0xa5), 0, size / 2, size / 4);
  await file.close();
}

function canMakeImmutable(): boolean {
  const probe = join(tmpdir(), `image-storage-chattr-${process.pid}`);
  return (
    process.getuid?.() === 0 &&
    works('sh', '-c', `touch ${probe} && chattr +i ${probe} && chattr -i ${probe}; s=$?; rm -f ${probe}; exit $s`)
  );
}
