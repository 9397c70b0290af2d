/** Which declared media types agree with the bytes of an image. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createStorage, type Storage } from '../../src/storage/index.ts';
import { pngOf } from '../support/images.ts';

let folder: string;
let storage: Storage;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  storage = await createStorage({ providers: { local: { basePath: folder } } });
});
afterAll(async () => {
  await storage.close();
  await rm(folder, { recursive: true });
});

const save = (contentType: string) =>
  storage.save(pngOf({ width: 8, height: 8 }), { prompt: 'a red fox', model: 'flux-schnell' }, { contentType });

it.each([
  'image/png',
  'Image/PNG',
  'image/png; charset=binary',
  ' image/png ;q=1',
  '',
  'application/octet-stream',
  'Application/Octet-Stream; x=y',
])('takes a PNG as "%s"', async (contentType) => {
  expect(await save(contentType)).toMatchObject({ contentType: 'image/png' });
});

it.each(['image/jpeg', 'image/JPG; q=1', 'image/*', 'text/plain', 'png'])(
  'refuses a PNG as "%s"',
  async (contentType) => {
    await expect(save(contentType)).rejects.toMatchObject({ reason: 'TYPE_MISMATCH', field: 'content_type' });
  },
);
