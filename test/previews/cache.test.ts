/** The cache of previews: what it keeps, what goes first, and what it never gives back. */
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type CacheOptions, PreviewCache } from '../../src/previews/cache.ts';
import { emptyPreviews, removePreviews } from '../../src/storage/disk/preview-files.ts';
import { previewFile } from '../../src/storage/domain/preview.ts';
import { noise } from '../support/images.ts';

const CHECK_BYTES = 32;
const HOUR_MS = 60 * 60 * 1000;
const shaOf = (id: number) => id.toString(16).padStart(64, '0');
const preview = noise(1000, 1);

let folder: string;
let now: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-previews-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  now = Date.now();
});

/** With room for so many previews, on a disk that is never too full. */
async function open(previews: number, options: Partial<CacheOptions> = {}): Promise<PreviewCache> {
  const maxBytes = previews * (preview.length + CHECK_BYTES);
  const cache = new PreviewCache({ folder, maxBytes, spareBytesOf: () => 0, now: () => now, ...options });
  await cache.opened();
  return cache;
}

const fileOf = (id: number) => join(folder, previewFile(shaOf(id), 320));

async function kept(cache: PreviewCache, ids: number[]): Promise<number[]> {
  const found = await Promise.all(ids.map((id) => cache.find(shaOf(id), 320)));
  return ids.filter((_, at) => found[at] !== undefined);
}

it('gives back what it keeps, by bytes and width', async () => {
  const cache = await open(10);
  await cache.keep(shaOf(1), 320, preview);
  expect(await cache.find(shaOf(1), 320)).toEqual(preview);
  expect(await cache.find(shaOf(1), 640)).toBeUndefined();
  expect(await cache.find(shaOf(2), 320)).toBeUndefined();
});

it('is left out by backups', async () => {
  await open(1);
  const tag = await readFile(join(folder, 'CACHEDIR.TAG'), 'utf8');
  expect(tag).toMatch(/^Signature: 8a477f597d28d172789f06886806bc55\n/);
});

it('lets the one go first that was not used for the longest time', async () => {
  const cache = await open(3);
  for (const id of [1, 2, 3]) await cache.keep(shaOf(id), 320, preview);
  await cache.find(shaOf(1), 320);
  await cache.keep(shaOf(4), 320, preview);
  expect(await kept(cache, [1, 2, 3, 4])).toEqual([1, 3, 4]);
  expect([cache.files, cache.bytes]).toEqual([3, 3 * (preview.length + CHECK_BYTES)]);
});

it('knows after a restart what it has, and what was used last', async () => {
  const first = await open(3);
  for (const id of [1, 2, 3]) {
    await first.keep(shaOf(id), 320, preview);
    now += 2 * HOUR_MS;
  }
  await first.find(shaOf(1), 320);
  await expect.poll(async () => (await stat(fileOf(1))).mtimeMs).toBeGreaterThan(now - HOUR_MS);
  const second = await open(2);
  expect(await kept(second, [1, 2, 3])).toEqual([1, 3]);
});

describe('never gives back', () => {
  it.each([
    ['a torn file', (path: string) => truncate(path, 500)],
    ['one without its end', (path: string) => truncate(path, preview.length)],
    ['an empty one', (path: string) => truncate(path, 0)],
    ['one with zeros in it', async (path: string) => writeFile(path, (await readFile(path)).fill(0, 100, 200))],
  ])('%s, which goes', async (_, harm) => {
    const cache = await open(3);
    await cache.keep(shaOf(1), 320, preview);
    await harm(fileOf(1));
    expect(await cache.find(shaOf(1), 320)).toBeUndefined();
    await expect(stat(fileOf(1))).rejects.toThrow('ENOENT');
    await cache.keep(shaOf(1), 320, preview);
    expect(await cache.find(shaOf(1), 320)).toEqual(preview);
  });

  it('what a crash has left half written', async () => {
    await (await open(3)).keep(shaOf(1), 320, preview);
    await writeFile(`${fileOf(2)}.tmp`, 'half');
    await open(3);
    expect(await readdir(dirname(fileOf(1)))).toEqual([expect.stringMatching(/w320-v1\.webp$/)]);
  });
});

it('leaves alone what is not its own', async () => {
  const foreign = join(folder, 'notes.txt');
  await writeFile(foreign, 'mine');
  const cache = await open(0);
  await cache.keep(shaOf(1), 320, preview);
  expect([cache.files, await readFile(foreign, 'utf8')]).toEqual([0, 'mine']);
});

it('writes nothing where the disk has too little room', async () => {
  const cache = await open(10, { spareBytesOf: () => Number.MAX_SAFE_INTEGER });
  await cache.keep(shaOf(1), 320, preview);
  expect(await kept(cache, [1])).toEqual([]);
});

it('is as closed as the store', async () => {
  const cache = await open(10, { folder: join(folder, 'previews'), fileMode: 0o640 });
  await cache.keep(shaOf(1), 320, preview);
  const file = join(folder, 'previews', previewFile(shaOf(1), 320));
  const modes = [file, dirname(file), join(folder, 'previews')].map(async (path) => (await stat(path)).mode & 0o777);
  expect(await Promise.all(modes)).toEqual([0o640, 0o750, 0o750]);
});

it('goes on when the store has taken previews away', async () => {
  const cache = await open(3);
  for (const id of [1, 2, 3]) await cache.keep(shaOf(id), 320, preview);
  await removePreviews(folder, { sha256: shaOf(2) });
  expect(await kept(cache, [1, 2, 3])).toEqual([1, 3]);
  expect(await emptyPreviews(folder)).toBe(2);
  await cache.keep(shaOf(4), 320, preview);
  expect(await kept(cache, [1, 3, 4])).toEqual([4]);
  expect(cache.files).toBe(1);
});
