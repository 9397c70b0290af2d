/** What a start does about staging when something there is out of order. */
import { copyFile, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { imageKey, recordKey } from '../../src/storage/domain/naming.ts';
import { filesBelow, loseCatalog, untilNothingIsStaged } from '../support/files.ts';
import { pngOf } from '../support/images.ts';
import { openFolder } from '../support/maintained-store.ts';

const NAME = '20240927_141522_flux-schnell_zzzzzz.png';

it.each([
  ['a folder', (path: string) => mkdir(path)],
  ['a link to itself', (path: string) => symlink(path, path)],
])('serves all images although %s is in the place of an upload', async (_, make) => {
  const store = await openFolder();
  const { filename } = await store.storage.save(pngOf({ width: 8, height: 8 }), { prompt: 'a red fox', model: 'flux' });
  await untilNothingIsStaged(store.folder);
  await store.close();
  const staging = join(store.folder, 'metadata/staging');
  await make(join(staging, `${NAME}.part`));
  const storage = await store.open();
  expect((await storage.list()).map((item) => item.filename)).toEqual([filename]);
  expect(await readdir(staging)).toEqual([`${NAME}.part`]);
});

it.each([
  ['lost', (folder: string) => loseCatalog(folder)],
  ['perhaps older than its folder', (folder: string) => rm(join(folder, 'metadata/CLEAN'))],
])(
  'does not take a repeated save that a crash interrupted for a second image where the catalog is %s',
  async (_, lose) => {
    const store = await openFolder();
    const save = () =>
      store.storage.save(
        pngOf({ width: 8, height: 8 }),
        { prompt: 'a red fox', model: 'flux' },
        { idempotencyKey: 'k' },
      );
    const { filename, key } = await save();
    await untilNothingIsStaged(store.folder);
    await store.close();
    // As the repeated save leaves them just before it asks the catalog for the key.
    const pathOf = (of: string) => join(store.folder, of.slice('outputs/'.length));
    const again = filename.replace(/_\w{6}\.png$/, '_zzzzzz.png');
    const staged = join(store.folder, 'metadata/staging', again);
    const record = await readFile(pathOf(recordKey(filename)), 'utf8');
    await copyFile(pathOf(key), `${staged}.part`);
    await writeFile(`${staged}.json`, record.replaceAll(filename, again));
    await copyFile(pathOf(key), pathOf(imageKey(again)));
    await lose(store.folder);
    const storage = await store.open();
    expect((await storage.list()).map((item) => item.filename)).toEqual([filename]);
    expect(await save()).toMatchObject({ filename, replayed: true });
    expect(await filesBelow(store.folder, 'metadata/staging')).toEqual([]);
  },
);
