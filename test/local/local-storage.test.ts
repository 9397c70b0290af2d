/** The provider `local` on a real folder: the conformance suite, and what only a folder has. */
import { readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createStorage } from '../../src/storage/index.ts';
import { describeProvider, openMain } from '../providers/provider-suite.ts';
import type { OpenOptions } from '../providers/tested-provider.ts';
import { collect } from '../support/bytes.ts';
import { filesBelow, loseCatalog, strayFiles, untilNothingIsStaged } from '../support/files.ts';
import { pngOf } from '../support/images.ts';

const openLocal = (options?: OpenOptions) =>
  openMain({ settings: (basePath) => ({ type: 'local', basePath }), leftovers: strayFiles, ...options });

describeProvider('local', {
  open: openLocal,
  storageType: 'local',
  hasTrash: true,
  urlOf: (key) => new RegExp(`^/${key}$`),
});

const SAVE = { prompt: 'a red fox', model: 'flux-schnell', timestamp: new Date('2024-09-27T14:15:22Z') };

it('explains every image by a record file beside it, in a folder of the day and the model', async () => {
  const store = await openLocal();
  const saved = await store.storage.save(pngOf({ width: 8, height: 8 }), SAVE);
  await store.storage.close();
  const files = await filesBelow(store.folder);
  expect(files).toContain(`images/generations/2024-09-27/flux-schnell/${saved.filename}`);
  const record = await readFile(
    join(store.folder, `metadata/generations/2024-09-27/flux-schnell/${saved.filename}.json`),
    'utf8',
  );
  expect(JSON.parse(record)).toMatchObject({
    version: 1,
    filename: saved.filename,
    prompt: 'a red fox',
    timestamp: '2024-09-27T14:15:22.000Z',
    sha256: saved.sha256,
  });
  expect(saved.path).toBe(join(store.folder, 'images/generations/2024-09-27/flux-schnell', saved.filename));
  await store.close();
});

it('lists, serves and rebuilds what an older daemon saved with parameters that no save takes today', async () => {
  const store = await openLocal();
  const { filename } = await store.storage.save(pngOf({ width: 8, height: 8 }), SAVE);
  await store.storage.close();
  const path = join(store.folder, `metadata/generations/2024-09-27/flux-schnell/${filename}.json`);
  const parametersJson = `{"a":${'['.repeat(10_000)}${'7'.repeat(10_000)}${']'.repeat(10_000)}}`;
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), parametersJson }));
  await loseCatalog(store.folder);
  const storage = await createStorage(store.config);
  const [item] = await storage.list();
  expect(item).toMatchObject({ filename, metadata: { parametersJson } });
  expect((await storage.get(filename)).item.metadata.parametersJson).toBe(parametersJson);
  await storage.close();
  await store.close();
});

it('refuses a second process on the same folder', async () => {
  const store = await openLocal();
  await expect(createStorage(store.config)).rejects.toMatchObject({ name: 'StoreOpenError', kind: 'locked' });
  await store.close();
});

it('notices that the folder was replaced under it', async () => {
  const store = await openLocal();
  await rename(store.folder, `${store.folder}-old`);
  const other = await createStorage(store.config);
  await expect(store.storage.save(pngOf({ width: 8, height: 8 }), SAVE)).rejects.toMatchObject({
    reason: 'STORE_REPLACED',
  });
  expect(await other.list()).toEqual([]);
  await other.close();
  await store.close();
  await rm(`${store.folder}-old`, { recursive: true });
});

it('writes nothing into a store that took the place of its own', async () => {
  const store = await openLocal();
  await store.storage.save(pngOf({ width: 8, height: 8 }), SAVE);
  await rename(store.folder, `${store.folder}-old`);
  const other = await createStorage(store.config);
  const before = await filesBelow(store.folder);
  await store.storage.close();
  expect(await filesBelow(store.folder)).toEqual(before);
  await other.close();
  await store.close();
  await rm(`${store.folder}-old`, { recursive: true });
});

it('lets a save finish before it closes, and takes none after', async () => {
  const store = await openLocal();
  const png = pngOf({ width: 8, height: 8 });
  const gate = Promise.withResolvers<void>();
  const slow = async function* () {
    yield png.subarray(0, 50);
    await gate.promise;
    yield png.subarray(50);
  };
  const saving = store.storage.save(slow(), SAVE);
  const closing = store.storage.close();
  await expect(store.storage.save(png, SAVE)).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE' });
  gate.resolve();
  const { filename } = await saving;
  await closing;
  expect((await (await store.reopen()).list()).map((item) => item.filename)).toEqual([filename]);
  await store.close();
});

it('gives up a save at once when it is cancelled while its source hangs', async () => {
  const store = await openLocal();
  const cancel = new AbortController();
  const hanging = async function* () {
    yield pngOf({ width: 8, height: 8 }).subarray(0, 50);
    cancel.abort();
    await new Promise(() => undefined);
  };
  const saving = store.storage.save(hanging(), SAVE, { signal: cancel.signal });
  await expect(saving).rejects.toMatchObject({ reason: 'CANCELLED' });
  expect(await store.leftovers()).toEqual([]);
  await store.close();
});

it('refuses a save whose bytes the disk did not keep in full, and leaves nothing of it', async () => {
  const store = await openLocal();
  const png = pngOf({ width: 8, height: 8 });
  const cut = async function* () {
    yield png;
    const [part] = await filesBelow(store.folder, 'metadata/staging');
    await truncate(join(store.folder, part!), png.length - 1);
  };
  const saving = store.storage.save(cut(), SAVE);
  await expect(saving).rejects.toMatchObject({ reason: 'STORAGE_IO', outcomeUnknown: false });
  expect(await store.storage.list()).toEqual([]);
  expect(await store.leftovers()).toEqual([]);
  await store.close();
});

it('leaves an idempotency key with the image that lives when the catalog is rebuilt', async () => {
  const store = await openLocal();
  const first = await store.storage.save(pngOf({ width: 8, height: 8 }), SAVE, { idempotencyKey: 'k' });
  await store.storage.delete(first.filename, { permanent: true });
  await store.storage.close();
  await forgetDeletesOlderThanADay(store.folder);
  const again = await store.reopen();
  const second = await again.save(pngOf({ width: 9, height: 9 }), SAVE, { idempotencyKey: 'k' });
  expect(second.replayed).toBe(false);
  await again.close();
  await loseCatalog(store.folder);
  const rebuilt = await store.reopen();
  const retry = await rebuilt.save(pngOf({ width: 9, height: 9 }), SAVE, { idempotencyKey: 'k' });
  expect(retry).toMatchObject({ replayed: true, filename: second.filename });
  await store.close();
});

/** What a day later would look like: the audit log's lines are old, and the tombstones are purged with the catalog. */
async function forgetDeletesOlderThanADay(basePath: string): Promise<void> {
  const log = join(basePath, 'metadata/logs/audit.jsonl');
  const old = new Date(Date.now() - 25 * 60 * 60 * 1000).toISOString();
  await writeFile(log, (await readFile(log, 'utf8')).replace(/"time":"[^"]+"/g, `"time":"${old}"`));
  await loseCatalog(basePath);
}

it('makes a folder again that somebody removed', async () => {
  const store = await openLocal();
  await store.storage.save(pngOf({ width: 8, height: 8 }), SAVE);
  await untilNothingIsStaged(store.folder);
  await rm(join(store.folder, 'images/generations/2024-09-27'), { recursive: true });
  await rm(join(store.folder, 'metadata/generations/2024-09-27'), { recursive: true });
  await rm(join(store.folder, 'metadata/staging'), { recursive: true });
  const saved = await store.storage.save(pngOf({ width: 8, height: 8 }), SAVE);
  expect(await collect((await store.storage.get(saved.filename)).body)).toHaveLength(saved.size);
  await store.close();
});

it('says DATA_LOSS when somebody changed, cut or removed a file', async () => {
  const store = await openLocal();
  const bytes = pngOf({ width: 64, height: 64, seed: 9 });
  const damage: [string, (path: string) => Promise<void>][] = [
    ['BYTES_CORRUPT', (path) => writeFile(path, Buffer.from(bytes).fill(0, 100, 110))],
    ['BYTES_CORRUPT', (path) => writeFile(path, bytes.subarray(0, 100))],
    ['BYTES_MISSING', (path) => rm(path)],
  ];
  for (const [reason, spoil] of damage) {
    const { filename, path } = await store.storage.save(bytes, SAVE);
    await spoil(path!);
    const { body } = await store.storage.get(filename);
    await expect(collect(body)).rejects.toMatchObject({ code: 'data_loss', reason });
  }
  await store.close();
});

it('lets an open reader finish after a delete', async () => {
  const store = await openLocal();
  const bytes = pngOf({ width: 64, height: 64, sizeBytes: 2_000_000 });
  const { filename } = await store.storage.save(bytes, SAVE);
  const reader = (await store.storage.get(filename)).body[Symbol.asyncIterator]();
  const first = await reader.next();
  await store.storage.delete(filename);
  const rest = await collect({ [Symbol.asyncIterator]: () => reader });
  expect(Buffer.concat([first.value, rest])).toEqual(bytes);
  await store.close();
});
