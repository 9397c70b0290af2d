/** A full disk: saves are refused by name and leave nothing, reads and deletes go on, room is used again. */
import { rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createStorage } from '../../src/storage/index.ts';
import { memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { openObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { contextOf } from '../support/bucket.ts';
import { collect, sha256Of } from '../support/bytes.ts';
import { brokenPromises } from '../support/check-store.ts';
import { filesBelow, fill } from '../support/files.ts';
import { imageOf, Ledger } from '../support/ledger.ts';
import { canMountTmpfs, openTmpfs } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';
import { type ForkedStore, forkStore } from './forked-store.ts';

const IMAGE_BYTES = 400_000;
const PAGE_BYTES = 4096;

requires('root, to mount a tmpfs', canMountTmpfs)('a full disk', () => {
  it.each([
    // Large enough to run out in the middle of an image.
    { what: 'bytes', limit: 'size=24m', sizeBytes: 3_000_000 },
    { what: 'inodes', limit: 'size=24m,nr_inodes=100', sizeBytes: 20_000 },
  ])(
    'without $what left refuses saves with DISK_FULL, keeps nothing of them, and takes them again later',
    async ({ limit, sizeBytes }) => {
      await using disk = await openTmpfs(limit);
      const [basePath, ledger] = [join(disk.path, 'outputs'), new Ledger()];
      const store = await forkStore({ basePath, trashDays: 0 });
      await saveUntilFull(store, ledger, sizeBytes);
      await expectToServe(store, basePath, ledger);
      for (const { filename } of ledger.live().slice(0, 5)) expect(await ledger.delete(store, filename)).toBe(true);
      await ledger.save(store, imageOf(1000, { sizeBytes }));
      await store.close();
      expect(await brokenPromises(basePath, ledger)).toEqual([]);
    },
  );

  it('lets several saves at once fail without harm to those that fit', async () => {
    await using disk = await openTmpfs('size=24m');
    const [basePath, ledger] = [join(disk.path, 'outputs'), new Ledger()];
    const store = await forkStore({ basePath, trashDays: 0 });
    const saves = Array.from({ length: 80 }, (_, number) =>
      ledger.save(store, imageOf(number, { sizeBytes: IMAGE_BYTES })),
    );
    const refused = (await Promise.allSettled(saves)).filter((save) => save.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(new Set(refused.map(({ reason }) => reason.reason))).toEqual(new Set(['DISK_FULL']));
    await expectToServe(store, basePath, ledger);
    await store.close();
    expect(await brokenPromises(basePath, ledger)).toEqual([]);
  });

  it.each([
    { when: 'while it runs', restart: async (store: ForkedStore) => store },
    {
      when: 'after a clean stop and a start',
      restart: async (store: ForkedStore, basePath: string) => {
        await store.close();
        return forkStore({ basePath, trashDays: 0 });
      },
    },
    {
      when: 'after a kill -9 and a start',
      restart: async (store: ForkedStore, basePath: string) => {
        await store.kill();
        return forkStore({ basePath, trashDays: 0 });
      },
    },
  ])('down to its last byte lets reads and deletes go on $when', async ({ restart }) => {
    await using disk = await openTmpfs('size=24m');
    const [basePath, ledger] = [join(disk.path, 'outputs'), new Ledger()];
    const foreign = join(disk.path, 'foreign');
    const before = await forkStore({ basePath, trashDays: 0 });
    for (let number = 1; number <= 10; number += 1) await ledger.save(before, imageOf(number));
    await fill(foreign);
    const store = await restart(before, basePath);
    await fill(foreign);
    await expect(ledger.save(store, imageOf(11))).rejects.toMatchObject({ reason: 'DISK_FULL' });
    for (const { filename } of ledger.live().slice(0, 5)) expect(await ledger.delete(store, filename)).toBe(true);
    await expectToServe(store, basePath, ledger);
    await store.close();
    const again = await forkStore({ basePath, trashDays: 0 });
    await rm(foreign);
    await ledger.save(again, imageOf(12, { sizeBytes: IMAGE_BYTES }));
    await again.close();
    expect(await brokenPromises(basePath, ledger)).toEqual([]);
  });

  it('that takes only part of the last write refuses the save with DISK_FULL', async () => {
    await using disk = await openTmpfs('size=24m');
    const storage = await createStorage({ providers: { local: { basePath: join(disk.path, 'outputs') } } });
    const { bytes, metadata } = imageOf(1, { sizeBytes: 7 * PAGE_BYTES });
    const source = async function* () {
      yield bytes.subarray(0, 4 * PAGE_BYTES);
      const foreign = join(disk.path, 'foreign');
      await fill(foreign);
      // Of three pages two find room: the write takes them, and says so instead of failing.
      await truncate(foreign, (await stat(foreign)).size - 2 * PAGE_BYTES);
      yield bytes.subarray(4 * PAGE_BYTES);
    };
    await expect(storage.save(source(), metadata)).rejects.toMatchObject({ reason: 'DISK_FULL' });
    expect(await storage.list()).toEqual([]);
    await storage.close();
  });

  it('of the state of a bucket ends no daemon, and loses nothing', async () => {
    await using disk = await openTmpfs('size=12m');
    const foreign = join(disk.path, 'foreign');
    const options = { ...memoryStorage(memoryObjects(new Map())), stateDir: join(disk.path, 'state') };
    const provider = await openObjectStorage(options, contextOf());
    const save = (number: number) => {
      const { bytes, metadata, options } = imageOf(number);
      return provider.save(bytes, metadata, options);
    };
    const { filename } = await save(1);
    await fill(foreign);
    await expect(save(2)).rejects.toMatchObject({ reason: 'DISK_FULL' });
    await expect(provider.delete(filename)).rejects.toMatchObject({ reason: 'DISK_FULL' });
    expect(sha256Of(await collect((await provider.get(filename)).body))).toBe(imageOf(1).sha256);
    await provider.close();
    await rm(foreign);
    const next = await openObjectStorage(options, contextOf());
    expect((await next.list()).map((item) => item.filename)).toEqual([filename]);
    await next.close();
  });
});

async function saveUntilFull(store: ForkedStore, ledger: Ledger, sizeBytes: number): Promise<void> {
  for (let number = 1; ; number += 1) {
    try {
      await ledger.save(store, imageOf(number, { sizeBytes }));
    } catch (error) {
      expect(error).toMatchObject({ reason: 'DISK_FULL', code: 'resource_exhausted', outcomeUnknown: false });
      return;
    }
  }
}

/** Lists and reads all that is live, and there is no file besides. */
async function expectToServe(store: ForkedStore, basePath: string, ledger: Ledger): Promise<void> {
  const live = ledger.live();
  expect((await store.list()).map(({ filename }) => filename).sort()).toEqual(
    live.map(({ filename }) => filename).sort(),
  );
  for (const { filename, image } of live) expect(sha256Of(await store.read(filename))).toBe(image.sha256);
  expect(await store.health()).toEqual({ serving: true });
  await store.settled();
  expect(await filesBelow(basePath, 'images')).toHaveLength(live.length);
  expect(await filesBelow(basePath, 'metadata/generations')).toHaveLength(live.length);
}
