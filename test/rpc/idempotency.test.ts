/** One idempotency key, one image: whatever is retried, however often, and whatever happened in between. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Storage } from '../../src/storage/index.ts';
import { openStore } from '../support/check-store.ts';
import { filesBelow, loseCatalog } from '../support/files.ts';
import { imageOf, type TestImage } from '../support/ledger.ts';

const KEY = 'one key';
const FIRST = imageOf(1, { idempotencyKey: KEY });
const OTHER_BYTES = { ...imageOf(2, { idempotencyKey: KEY }), metadata: FIRST.metadata };
const OTHER_METADATA = { ...FIRST, metadata: { ...FIRST.metadata, prompt: 'another prompt' } };
const REUSED = { code: 'already_exists', reason: 'IDEMPOTENCY_KEY_REUSED' };

let basePath: string;
let storage: Storage;
beforeEach(async () => {
  basePath = await mkdtemp(join(tmpdir(), 'image-storage-key-'));
  storage = await openStore(basePath);
});
afterEach(async () => {
  await storage.close();
  await rm(basePath, { recursive: true, force: true });
});

const save = ({ bytes, metadata, options }: TestImage) => storage.save(bytes, metadata, options);

async function restart(): Promise<void> {
  await storage.close();
  storage = await openStore(basePath);
}

async function rebuild(): Promise<void> {
  await storage.close();
  await loseCatalog(basePath);
  storage = await openStore(basePath);
}

it('makes one image of 50 saves at once', async () => {
  const saved = await Promise.all(Array.from({ length: 50 }, () => save(FIRST)));
  expect(saved.filter(({ replayed }) => !replayed)).toHaveLength(1);
  expect(new Set(saved.map(({ filename }) => filename)).size).toBe(1);
  expect(await storage.list()).toHaveLength(1);
  await restart();
  expect(await filesBelow(basePath, 'images')).toHaveLength(1);
  expect(await filesBelow(basePath, 'metadata/staging')).toEqual([]);
});

it('lets one of 50 different images at once have the key, and refuses the others', async () => {
  const images = Array.from({ length: 50 }, (_, number) => imageOf(number, { idempotencyKey: KEY }));
  const saved = await Promise.allSettled(images.map(save));
  const refused = saved.filter((each) => each.status === 'rejected');
  expect(refused).toHaveLength(49);
  for (const { reason } of refused) expect(reason).toMatchObject(REUSED);
  expect(await storage.list()).toHaveLength(1);
});

it.each<{ when: string; between: (filename: string) => Promise<unknown>; images: number }>([
  { when: 'at once', between: async () => undefined, images: 1 },
  { when: 'after a restart', between: restart, images: 1 },
  { when: 'after the catalog was lost', between: rebuild, images: 1 },
  { when: 'after a delete', between: (filename) => storage.delete(filename), images: 0 },
  { when: 'after a delete and a restart', between: (filename) => storage.delete(filename).then(restart), images: 0 },
  {
    when: 'after a delete and a lost catalog',
    between: (filename) => storage.delete(filename).then(rebuild),
    images: 0,
  },
])('answers a retry $when with the first result, and refuses another image', async ({ between, images }) => {
  const { replayed: _, deleted: __, ...first } = await save(FIRST);
  await between(first.filename);
  expect(await save(FIRST)).toMatchObject({
    filename: first.filename,
    sha256: first.sha256,
    size: first.size,
    replayed: true,
  });
  await expect(save(OTHER_BYTES)).rejects.toMatchObject(REUSED);
  await expect(save(OTHER_METADATA)).rejects.toMatchObject(REUSED);
  expect(await storage.list()).toHaveLength(images);
});

it('does not let a stalled first attempt block its retry', async () => {
  const { promise: stalled, resolve: goOn } = Promise.withResolvers<void>();
  const slowly = async function* () {
    yield FIRST.bytes.subarray(0, 1000);
    await stalled;
    yield FIRST.bytes.subarray(1000);
  };
  const firstAttempt = storage.save(slowly(), FIRST.metadata, FIRST.options);
  const retry = await save(FIRST);
  expect(retry.replayed).toBe(false);
  goOn();
  expect(await firstAttempt).toMatchObject({ filename: retry.filename, replayed: true });
  expect(await storage.list()).toHaveLength(1);
});

it('keeps the keys of different callers apart, and saves without one too', async () => {
  const images = [FIRST, { ...FIRST, options: { idempotencyKey: 'another key' } }, { ...FIRST, options: {} }];
  for (const image of images) expect((await save(image)).replayed).toBe(false);
  expect(await storage.list()).toHaveLength(3);
});
