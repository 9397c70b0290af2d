/** What a start does about staging when something there is out of order. */
import { mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { untilNothingIsStaged } from '../support/files.ts';
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
