/** A trash on a disk that is full: it gives way to saves, and restores, deletes, purges and cleanups go on. */
import { rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createStorage, type Storage } from '../../src/storage/index.ts';
import { toBeforeTrash } from '../support/before-trash.ts';
import { brokenPromises } from '../support/check-store.ts';
import { fill } from '../support/files.ts';
import { imageOf, Ledger } from '../support/ledger.ts';
import { canMountLoop, canMountTmpfs, hasMkfs, openDisk, openTmpfs } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';
import { full } from '../support/scale.ts';

const MIB = 1024 * 1024;
const SAVERS = 8;
const IMAGE_BYTES = 400_000;
const PAGE_BYTES = 4096;
/** A measurement of the free room holds for a tenth of a second. */
const MEASURED_AFTER_MS = 150;

const disks = [
  { disk: 'tmpfs', sizeBytes: 24 * MIB, open: () => openTmpfs('size=24m') },
  ...(full ? [{ disk: 'ext4', sizeBytes: 48 * MIB, open: () => openDisk('ext4', 48 * MIB) }] : []),
];
const suite = requires('root, to mount a tmpfs and ext4', canMountTmpfs && canMountLoop && hasMkfs('ext4'));

const openAt = (basePath: string, minFreeBytes?: number) =>
  createStorage({
    providers: { local: { basePath, trash: minFreeBytes === undefined ? {} : { minFreeBytes } } },
  });

const trashOf = async (storage: Storage) => (await storage.listTrash()).map(({ filename }) => filename);

suite('a trash', () => {
  describe.each(disks)('that fills its disk, on $disk', ({ sizeBytes, open }) => {
    it('gives way to saves, which go on without an error until live images fill it', async () => {
      await using mount = await open();
      const [basePath, ledger] = [join(mount.path, 'outputs'), new Ledger({ trash: 'gives way' })];
      const storage = await openAt(basePath);
      let next = 1;
      const save = () => ledger.save(storage, imageOf(next++, { sizeBytes: IMAGE_BYTES }));
      const inTurn = async (count: number, work: () => Promise<unknown>) => {
        for (let done = 0; done < count; done += 1) await work();
      };
      const saveAndDelete = async () => {
        const { filename } = await save();
        await ledger.delete(storage, filename);
      };
      // Twice what the disk holds.
      const count = Math.ceil((2 * sizeBytes) / IMAGE_BYTES / SAVERS);
      await Promise.all(Array.from({ length: SAVERS }, () => inTurn(count, saveAndDelete)));
      expect(await trashOf(storage)).not.toEqual([]);
      await expect(inTurn(1000, save)).rejects.toMatchObject({ reason: 'DISK_FULL', outcomeUnknown: false });
      expect(await trashOf(storage)).toEqual([]);
      const { bytes, capacityBytes, freeBytes } = (await storage.getStatistics())[0]!;
      expect(freeBytes).toBeLessThan(IMAGE_BYTES + 300_000);
      // The reserve and the catalog's log have the rest.
      expect(bytes).toBeGreaterThan(capacityBytes! * 0.25);
      await storage.close();
      expect(await brokenPromises(basePath, ledger)).toEqual([]);
    });
  });

  describe.each(disks)('on a disk that somebody else fills, on $disk', ({ disk, open }) => {
    it('lets restores, purges, deletes and cleanups go on', async () => {
      await using mount = await open();
      const [basePath, ledger] = [join(mount.path, 'outputs'), new Ledger({ trash: 'gives way' })];
      const storage = await openAt(basePath, PAGE_BYTES);
      const foreign = join(mount.path, 'foreign');
      /** With a page left, deletes go into the trash. */
      const fillUp = async () => {
        await fill(foreign);
        await truncate(foreign, (await stat(foreign)).size - PAGE_BYTES);
        await sleep(MEASURED_AFTER_MS);
      };
      // Where the last page is for root alone, upkeep finds no room, and purges.
      const restore = (filename: string) =>
        ledger.restore(storage, filename).catch((error) => {
          expect(error.reason).toBe(disk === 'ext4' ? 'IMAGE_NOT_FOUND' : undefined);
        });
      const store = { purge: (filename: string) => storage.purge({ filenames: [filename] }) };
      for (let number = 1; number <= 20; number += 1) await ledger.save(storage, imageOf(number));
      const names = ledger.live().map(({ filename }) => filename);
      for (const filename of names.slice(0, 10)) await ledger.delete(storage, filename);
      await fillUp();
      for (const filename of names.slice(0, 4)) await restore(filename);
      for (const filename of names.slice(4, 6)) await ledger.purge(store, filename);
      await fillUp();
      for (const filename of names.slice(10, 15)) await ledger.delete(storage, filename);
      await ledger.cleanup(storage, { keepCount: 4 });
      await fillUp();
      for (const filename of await trashOf(storage)) await restore(filename);
      for (const { filename } of ledger.live()) await ledger.delete(storage, filename);
      expect(await storage.list()).toEqual([]);
      await storage.close();
      expect(await brokenPromises(basePath, ledger)).toEqual([]);
    });

    it('lets a store of a version without a trash start, or refuses it until there is room', async () => {
      await using mount = await open();
      const [basePath, ledger] = [join(mount.path, 'outputs'), new Ledger({ trash: true })];
      const before = await openAt(basePath);
      for (let number = 1; number <= 20; number += 1) await ledger.save(before, imageOf(number));
      await before.close();
      await toBeforeTrash(basePath);
      const foreign = join(mount.path, 'foreign');
      await fill(foreign);
      for (const _ of [1, 2]) {
        const storage = await openAt(basePath).catch((error) => {
          expect(error).toMatchObject({ name: 'StoreOpenError' });
        });
        if (storage) expect(await storage.list()).toHaveLength(20);
        await storage?.close();
        await fill(foreign);
      }
      await rm(foreign);
      const after = await openAt(basePath);
      await ledger.delete(after, ledger.live()[0]!.filename);
      await after.close();
      expect(await brokenPromises(basePath, ledger)).toEqual([]);
    });

    it('takes no more below its least free room: a delete is for good there, and says so', async () => {
      await using mount = await open();
      const [basePath, ledger] = [join(mount.path, 'outputs'), new Ledger({ trash: 'gives way' })];
      const storage = await openAt(basePath);
      for (let number = 1; number <= 4; number += 1) await ledger.save(storage, imageOf(number));
      const [one, other, third] = ledger.live().map(({ filename }) => filename) as [string, string, string];
      expect(await storage.remove(one)).toMatchObject({ deleted: true, restorableUntil: expect.any(Date) });
      await fill(join(mount.path, 'foreign'));
      await sleep(MEASURED_AFTER_MS);
      expect(await storage.remove(other)).toEqual({ deleted: true });
      const { restorableUntil, ...cleanup } = await storage.cleanup({ keepCount: 1 });
      expect(cleanup).toMatchObject({ deletedCount: 1, filenames: [third] });
      expect(restorableUntil).toBeUndefined();
      expect((await storage.list()).map(({ filename }) => filename)).not.toContain(other);
      expect(await trashOf(storage)).not.toContain(other);
      await storage.close();
    });
  });
});
