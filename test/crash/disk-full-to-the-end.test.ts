/** A disk that stays full: every delete works until the store is empty, and so does every start in between. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { brokenPromises } from '../support/check-store.ts';
import { filesBelow, fill } from '../support/files.ts';
import { imageOf, Ledger } from '../support/ledger.ts';
import { canMountLoop, canMountTmpfs, hasMkfs, type Mount, openDisk, openTmpfs } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';
import { full } from '../support/scale.ts';
import { type ForkedStore, forkStore } from './forked-store.ts';

const MIB = 1024 * 1024;
const DISK_FULL = { reason: 'DISK_FULL', outcomeUnknown: false };

/** A store on a disk without a free byte: what the images left was taken by somebody else. */
class FullDisk {
  readonly basePath: string;
  readonly ledger = new Ledger();
  readonly foreign: string;
  #store: ForkedStore | undefined;
  #next = 1;

  constructor({ path }: Mount) {
    this.basePath = join(path, 'outputs');
    this.foreign = join(path, 'foreign');
  }

  get store(): ForkedStore {
    return this.#store!;
  }

  async start(): Promise<void> {
    this.#store = await forkStore({ basePath: this.basePath, trashDays: 0 });
  }

  /** Ends the process, as a stop or a kill would; whatever that frees is gone before the next start. */
  async restart(how: 'close' | 'kill'): Promise<void> {
    await this.store[how]();
    await fill(this.foreign);
    await this.start();
    await fill(this.foreign);
  }

  save(options: { sizeBytes: number; parametersJson?: string }): Promise<unknown> {
    const image = imageOf(this.#next, options);
    if (options.parametersJson) image.metadata.parametersJson = options.parametersJson;
    this.#next += 1;
    return this.ledger.save(this.store, image);
  }

  /** Returns how many images fitted. */
  async saveUntilFull(options: { sizeBytes: number }, most = Number.POSITIVE_INFINITY): Promise<number> {
    for (let count = 0; count < most; count += 1) {
      try {
        await this.save(options);
      } catch (error) {
        expect(error).toMatchObject(DISK_FULL);
        return count;
      }
    }
    return most;
  }

  async delete(): Promise<void> {
    const { filename } = this.ledger.live()[0]!;
    expect(await this.ledger.delete(this.store, filename)).toBe(true);
  }

  async expectSound(): Promise<void> {
    await this.store.close();
    await rm(this.foreign, { force: true });
    await this.start();
    await this.save({ sizeBytes: 100_000 });
    await this.store.close();
    expect(await brokenPromises(this.basePath, this.ledger)).toEqual([]);
  }
}

const disks = [
  { disk: 'tmpfs', open: () => openTmpfs('size=24m') },
  { disk: 'ext4', open: () => openDisk('ext4', 48 * MIB) },
] as const;
/** Unless all are wanted, each is tried on one disk. */
const FILLINGS = [
  { how: 'by somebody else, with small images', sizeBytes: 8_000, count: 40, quickOn: 'ext4' },
  { how: 'by its own images', sizeBytes: 600_000, count: 100, quickOn: 'tmpfs' },
];
const suite = requires('root, to mount a tmpfs and ext4', canMountTmpfs && canMountLoop && hasMkfs('ext4'));

suite('a disk', () => {
  describe.each(disks)('that is full, on $disk', ({ disk: name, open }) => {
    it.each(FILLINGS.filter(({ quickOn }) => full || quickOn === name))(
      'filled $how lets every delete work, and every start, until the store is empty',
      async ({ sizeBytes, count }) => {
        await using mount = await open();
        const disk = new FullDisk(mount);
        await disk.start();
        await disk.saveUntilFull({ sizeBytes }, count);
        for (let deletes = 1; disk.ledger.live().length > 0; deletes += 1) {
          await fill(disk.foreign);
          await expect(disk.save({ sizeBytes })).rejects.toMatchObject(DISK_FULL);
          await disk.delete();
          await fill(disk.foreign);
          if (deletes % 6 === 0) await disk.restart(deletes % 12 === 0 ? 'close' : 'kill');
        }
        expect(await disk.store.list()).toEqual([]);
        expect(await filesBelow(disk.basePath, 'images')).toEqual([]);
        await disk.expectSound();
      },
    );
  });
});
