/** What a store does where its user may not write or read, which root may everywhere. */
import { chmod, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createStorage } from '../../src/storage/index.ts';
import { collect, sha256Of } from '../support/bytes.ts';
import { filesBelow, untilNothingIsStaged } from '../support/files.ts';
import { pngOf } from '../support/images.ts';
import { type MaintainedStore, openFolder, verified } from '../support/maintained-store.ts';

const PNG = pngOf({ width: 8, height: 8 });
const FOX = { prompt: 'a red fox', model: 'flux-schnell', timestamp: new Date('2024-09-27T14:15:22Z') };
const TOMORROW = new Date('2024-09-28T14:15:22Z');

const pathOf = ({ folder }: MaintainedStore, key: string) => join(folder, key.slice('outputs/'.length));

async function expectToBeWhole({ storage }: MaintainedStore, filename: string): Promise<void> {
  expect(sha256Of(await collect((await storage.get(filename)).body))).toBe(sha256Of(PNG));
}

// As root where other users cannot read the checkout, which no CI can help.
describe.skipIf(process.getuid?.() === 0)('without the right (skipped as root)', () => {
  it('to write into the base path, the store is refused by its path', async () => {
    const { folder } = await openFolder();
    const basePath = join(folder, 'inner/outputs');
    await mkdir(dirname(basePath));
    await chmod(dirname(basePath), 0o555);
    await expect(createStorage({ providers: { local: { basePath } } })).rejects.toMatchObject({
      name: 'StoreOpenError',
      kind: 'permission',
      message: expect.stringMatching(new RegExp(`^providers\\.local: .*${dirname(basePath)}`)),
    });
  });

  describe('to write into the folder of one day', () => {
    /** Two images of a day whose folder takes no more changes, until `allow`. */
    async function openWithLockedDay() {
      const store = await openFolder();
      const [fox, other] = [await store.storage.save(PNG, FOX), await store.storage.save(PNG, FOX)];
      await untilNothingIsStaged(store.folder);
      const day = dirname(pathOf(store, fox.key));
      await chmod(day, 0o555);
      return { store, fox, other, allow: () => chmod(day, 0o755) };
    }

    it('its saves fail and leave nothing, and all others go on', async () => {
      const { store, allow } = await openWithLockedDay();
      await expect(store.storage.save(PNG, FOX)).rejects.toMatchObject({ reason: 'STORAGE_IO', outcomeUnknown: false });
      expect(await filesBelow(store.folder, 'metadata/staging')).toEqual([]);
      const { filename } = await store.storage.save(PNG, { ...FOX, timestamp: TOMORROW });
      await expectToBeWhole(store, filename);
      expect(store.storage.health()).toEqual({ main: { serving: true } });
      await allow();
      await expectToBeWhole(store, (await store.storage.save(PNG, FOX)).filename);
    });

    it('a deleted image is gone, and its file once that is possible', async () => {
      const { store, fox, other, allow } = await openWithLockedDay();
      expect(await store.storage.delete(fox.filename)).toBe(true);
      await expect(store.storage.get(fox.filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
      await store.close();
      await allow();
      await store.open();
      expect((await store.storage.list()).map(({ filename }) => filename)).toEqual([other.filename]);
      expect((await filesBelow(store.folder, 'images')).map((path) => `outputs/${path}`)).toEqual([other.key]);
    });
  });

  it('to read an image, only that one cannot be read, and no verify takes it for gone', async () => {
    const store = await openFolder();
    const [fox, other] = [await store.storage.save(PNG, FOX), await store.storage.save(PNG, FOX)];
    await chmod(pathOf(store, fox.key), 0);
    const reading = async () => collect((await store.storage.get(fox.filename)).body);
    await expect(reading()).rejects.toThrow();
    await expectToBeWhole(store, other.filename);
    const { findings } = await verified(store.storage, { deep: true, repair: true, forgetMissing: true });
    expect(findings).toMatchObject([{ filename: fox.filename, remedy: 'none', detail: 'it cannot be read (EACCES)' }]);
    await chmod(pathOf(store, fox.key), 0o644);
    await expectToBeWhole(store, fox.filename);
  });
});
