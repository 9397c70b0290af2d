/** What images get that were there before previews were: behind everything else, again after a restart, and no more than is missing. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeOlder } from '../../src/previews/older-images.ts';
import type { ImageDecoder } from '../../src/previews/previewer.ts';
import { createPreviews, type Previews } from '../../src/previews/previews.ts';
import { reduce } from '../../src/previews/reduce.ts';
import { heldSource, withFile } from '../../src/previews/source-file.ts';
import { createStorage, type Storage } from '../../src/storage/index.ts';
import { collect } from '../support/bytes.ts';
import { loseCatalog } from '../support/files.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const meter = { served() {}, decoded() {}, failed() {}, decoderStarted() {}, watch() {} };

let folder: string;
let storage: Storage;
let previews: Previews;
let decoded: number;

/** In this process: one of its own gives way to all else that runs, and the images may be late. */
const decoder: ImageDecoder = {
  isAble: true,
  decode: async (order, bytes) => {
    decoded += 1;
    const { path } = order;
    if (path !== undefined) return withFile({ ...order, path }, (source) => reduce(sharp, source, order));
    return reduce(sharp, heldSource(await collect(bytes)), order);
  },
  stop() {},
};

async function open(maxBytes = 10_000_000): Promise<void> {
  storage = await createStorage({ providers: { local: { basePath: join(folder, 'outputs') } } });
  previews = createPreviews(storage, { enabled: true, maxBytes, firstRestMs: 0 }, { log, meter, decoder });
}

async function close(): Promise<void> {
  await previews.close();
  await storage.close();
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  decoded = 0;
});
afterEach(() => rm(folder, { recursive: true }));

/** Not by way of the previews: as an older version, or a copy, has left them. */
async function saveOlder(count: number): Promise<void> {
  const older = await createStorage({ providers: { local: { basePath: join(folder, 'outputs') } } });
  for (let at = 0; at < count; at += 1) {
    const background = { r: 80 * at, g: 90, b: 40 };
    const bytes = await sharp({ create: { width: 90, height: 60, channels: 3, background } })
      .png()
      .toBuffer();
    await older.save(bytes, { prompt: `image ${at}`, model: 'flux' });
  }
  await older.close();
}

const hashed = async () => (await storage.list()).filter(({ thumbHash }) => thumbHash !== undefined).length;
const kept = async () => {
  const names = await readdir(join(folder, 'outputs/metadata/previews'), { recursive: true }).catch(() => []);
  return names.filter((name) => name.endsWith('-w320-v1.webp')).length;
};

it('is a ThumbHash and a preview of 320 pixels, made once', async () => {
  await saveOlder(3);
  await open();
  await expect.poll(hashed).toBe(3);
  expect([await kept(), decoded]).toEqual([3, 3]);
  await close();
  await open();
  await saveOne();
  await expect.poll(hashed).toBe(4);
  expect(decoded).toBe(4);
  await close();
});

it('is made from the kept previews after a rebuild of the catalog', async () => {
  await saveOlder(2);
  await open();
  await expect.poll(hashed).toBe(2);
  const before = (await storage.list()).map(({ thumbHash }) => Buffer.from(thumbHash!).toString('hex'));
  await close();
  await loseCatalog(join(folder, 'outputs'));
  await open();
  await expect.poll(hashed).toBe(2);
  const after = (await storage.list()).map(({ thumbHash }) => Buffer.from(thumbHash!).toString('hex'));
  // Of a compressed copy: the colours may differ in the last bit.
  expect(after.map(({ length }) => length)).toEqual(before.map(({ length }) => length));
  await close();
});

it('is the ThumbHash alone where the cache is half full', async () => {
  await saveOlder(3);
  await open(150);
  await expect.poll(hashed).toBe(3);
  expect(await kept()).toBe(1);
  await close();
});

it('ends with the daemon, and with a store that does not answer', async () => {
  const asked: number[] = [];
  const failing = {
    unhashed: async (before: number) => {
      asked.push(before);
      throw new Error('the store is gone');
    },
  };
  const stopped = AbortSignal.abort();
  await makeOlder(failing, { make: async () => {}, signal: stopped, firstRestMs: 0 });
  expect(asked).toEqual([]);
  await makeOlder(failing, { make: async () => {}, signal: new AbortController().signal, firstRestMs: 0 });
  expect(asked).toEqual([Number.MAX_SAFE_INTEGER]);
});

async function saveOne(): Promise<void> {
  const bytes = await sharp({ create: { width: 50, height: 60, channels: 3, background: '#fff' } })
    .png()
    .toBuffer();
  await previews.storage.save(bytes, { prompt: 'new', model: 'flux' });
}
