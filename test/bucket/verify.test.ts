/** What only a bucket can show to `verify`: other daemons, saves between object and record, and what a crash leaves there. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type ObjectStore, ObjectStoreError } from '../../src/storage/bucket/object-store.ts';
import { payloadOf } from '../../src/storage/bucket/record-object.ts';
import { imageKey, recordKey } from '../../src/storage/domain/naming.ts';
import { createStorage } from '../../src/storage/index.ts';
import { copyImages } from '../../src/storage/maintenance/copy.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { type ObjectStorageOptions, openObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { handsOnObjects } from '../support/behind-the-back.ts';
import { contextOf } from '../support/bucket.ts';
import { leaveObjectWithoutRecord } from '../support/bucket-daemon.ts';
import { collect, sha256Of } from '../support/bytes.ts';
import { pngOf } from '../support/images.ts';
import { imageOf } from '../support/ledger.ts';
import { openMemoryBucket, verified } from '../support/maintained-store.ts';
import { startS3FaultServer } from '../support/s3-fault-server.ts';

const FOX = { prompt: 'a red fox', model: 'flux-schnell', timestamp: new Date('2024-09-27T14:15:22Z') };
const BYTES = pngOf({ width: 8, height: 8 });
const NAME = '20240927_141522_flux-schnell_zzzzzz.png';
const HOUR_MS = 60 * 60 * 1000;

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A provider over the bucket with a state of its own, whose primitives may be others. */
async function openOver(
  bucket: MemoryBucket,
  { objects, ...settings }: Partial<Omit<ObjectStorageOptions, 'objects'>> & { objects?: Partial<ObjectStore> } = {},
) {
  const options = { ...memoryStorage({ ...memoryObjects(bucket), ...objects }), stateDir: await newFolder() };
  const provider = await openObjectStorage({ ...options, retry: { sleep: async () => {} }, ...settings }, contextOf());
  onTestFinished(() => provider.close());
  return provider;
}

it('names what a kill -9 between object and record left, once it is a day old, and adopts it', async () => {
  await using server = await startS3FaultServer();
  const folder = await newFolder();
  const image = imageOf(1, { sizeBytes: 100_000 });
  const key = await leaveObjectWithoutRecord(server, folder, image);
  let aheadMs = 0;
  const providers = { s3: { ...server.settings, stateDir: join(folder, 'another') } };
  const storage = await createStorage({ defaultProvider: 's3', providers }, { now: () => Date.now() + aheadMs });
  onTestFinished(() => storage.close());
  expect(await verified(storage, { repair: true })).toMatchObject({ findings: [], summary: { undecided: 1 } });
  aheadMs = 24 * HOUR_MS;
  const found = { problem: 'not_committed', key, filename: key.split('/').at(-1) };
  expect((await verified(storage)).findings).toEqual([{ ...found, remedy: 'none' }]);
  expect(await storage.list()).toEqual([]);
  expect((await verified(storage, { repair: true })).findings).toEqual([{ ...found, remedy: 'adopted' }]);
  expect((await storage.list()).map((item) => item.filename)).toEqual([found.filename]);
  expect(sha256Of(await collect((await storage.get(found.filename!)).body))).toBe(image.sha256);
  expect((await verified(storage, { deep: true })).findings).toEqual([]);
});

it('leaves alone what doctor tries a bucket with', async () => {
  const bucket: MemoryBucket = new Map();
  const provider = await openOver(bucket);
  const keys = ['outputs/images/doctor/x.png', 'outputs/metadata/doctor/x'];
  for (const key of keys) await memoryObjects(bucket).putNew(key, payloadOf('x'), { contentType: 'text/plain' });
  expect((await verified(provider, { repair: true })).findings).toEqual([]);
  expect([...bucket.keys()]).toEqual(expect.arrayContaining(keys));
});

it.each(['save', 'copy'] as const)('takes no %s that is between object and record for a leftover', async (how) => {
  const bucket: MemoryBucket = new Map();
  const [arrived, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  onTestFinished(() => gate.resolve());
  const { putNew } = memoryObjects(bucket);
  const put: ObjectStore['putNew'] = async (key, ...rest) => {
    if (key.startsWith('outputs/metadata/generations/')) {
      arrived.resolve();
      await gate.promise;
    }
    return putNew(key, ...rest);
  };
  const [source, target] = [await openOver(new Map()), await openOver(bucket, { objects: { putNew: put } })];
  const { filename } = await source.save(BYTES, FOX);
  const copy = async () => {
    for await (const record of source.records({})) await target.copyIn(record, source.bytesOf(record));
    return filename;
  };
  const working = how === 'copy' ? copy() : target.save(BYTES, FOX).then((saved) => saved.filename);
  await arrived.promise;
  expect([...bucket.keys()].filter((key) => key.startsWith('outputs/images/'))).toHaveLength(1);
  expect((await verified(target, { repair: true })).findings).toEqual([]);
  gate.resolve();
  expect((await target.get(await working)).item.metadata.prompt).toBe('a red fox');
});

it.each([true, false])('leaves alone for a day what may be a save or a copy under way, shared: %s', async (shared) => {
  const bucket: MemoryBucket = new Map();
  const provider = await openOver(bucket, { shared });
  await handsOnObjects(memoryObjects(bucket)).write(imageKey(NAME), BYTES);
  const run = async () => verified(provider, { repair: true });
  for (const hours of [0, 23]) {
    bucket.get(imageKey(NAME))!.lastModified -= hours * HOUR_MS;
    expect(await run()).toMatchObject({ findings: [], summary: { undecided: 1 } });
    expect([...bucket.keys()].filter((key) => key.startsWith('outputs/images/'))).toEqual([imageKey(NAME)]);
    expect(bucket.has(recordKey(NAME))).toBe(false);
  }
  bucket.get(imageKey(NAME))!.lastModified -= HOUR_MS;
  expect(await run()).toMatchObject({ findings: [{ remedy: 'adopted' }], summary: { undecided: 0 } });
});

it.each([true, false])('restores at once a record that is known, shared: %s', async (shared) => {
  const bucket: MemoryBucket = new Map();
  const provider = await openOver(bucket, { shared });
  const { filename } = await provider.save(BYTES, FOX);
  bucket.delete(recordKey(filename));
  const restored = { problem: 'record_damaged', remedy: 'restored', key: recordKey(filename) };
  expect((await verified(provider, { repair: true })).findings).toMatchObject([restored]);
  expect((await provider.get(filename)).item.metadata.prompt).toBe('a red fox');
});

it('follows a record that somebody edited', async () => {
  const { storage, hands } = await openMemoryBucket();
  const { filename } = await storage.save(BYTES, FOX);
  const record = String(await hands.read(recordKey(filename)));
  await hands.write(recordKey(filename), Buffer.from(record.replace('a red fox', 'a blue fox')));
  expect((await verified(storage)).findings).toEqual([]);
  expect(await storage.list({ query: 'blue' })).toHaveLength(1);
});

it('finds an image that is gone together with its record, and forgets it only when told', async () => {
  const { storage, hands } = await openMemoryBucket();
  const [fox, other] = [await storage.save(BYTES, FOX), await storage.save(BYTES, FOX)];
  for (const key of [fox.key, recordKey(fox.filename)]) await hands.remove(key);
  const found = { problem: 'bytes_missing', key: fox.key, detail: 'its record is gone, too' };
  expect((await verified(storage, { repair: true })).findings).toMatchObject([{ ...found, remedy: 'none' }]);
  expect(await storage.list()).toHaveLength(2);
  const { findings } = await verified(storage, { forgetMissing: true });
  expect(findings).toMatchObject([{ ...found, remedy: 'forgotten' }]);
  expect((await storage.list()).map((item) => item.filename)).toEqual([other.filename]);
});

it('adopts an image whose record was overwritten and is known nowhere else, and keeps what was written', async () => {
  const store = await openMemoryBucket();
  const { filename, key } = await store.storage.save(BYTES, FOX);
  await store.hands.write(recordKey(filename), Buffer.from('scribble'));
  await store.close();
  const storage = await store.open({ rebuildCatalog: true });
  expect(await storage.list()).toEqual([]);
  expect((await verified(storage, { repair: true })).findings).toMatchObject([
    { problem: 'record_damaged', key: recordKey(filename), remedy: 'adopted' },
  ]);
  expect(await storage.list()).toMatchObject([{ key, metadata: { prompt: '', model: 'flux-schnell' } }]);
  const aside = recordKey(filename).replace('outputs/', 'outputs/metadata/quarantine/');
  expect(String(await store.hands.read(aside))).toBe('scribble');
  expect((await verified(storage)).findings).toEqual([]);
});

it('keeps an image whose record was overwritten over a restart, and restores the record as it was', async () => {
  const store = await openMemoryBucket();
  const { filename } = await store.storage.save(BYTES, FOX);
  await store.hands.write(recordKey(filename), Buffer.from('scribble'));
  await store.close();
  const storage = await store.open();
  expect((await storage.list()).map((item) => item.filename)).toEqual([filename]);
  expect((await verified(storage, { repair: true })).findings).toMatchObject([{ remedy: 'restored' }]);
  expect(String(await store.hands.read(recordKey(filename)))).toContain('a red fox');
});

it('does not forget an image that lost its bytes and its record, one after the other', async () => {
  const { storage, hands } = await openMemoryBucket();
  const { filename, key } = await storage.save(BYTES, FOX);
  await hands.write(recordKey(filename), Buffer.from('scribble'));
  await hands.remove(key);
  const damaged = { problem: 'record_damaged', key: recordKey(filename) };
  expect((await verified(storage, { repair: true })).findings).toMatchObject([{ ...damaged, remedy: 'restored' }]);
  expect((await verified(storage, { repair: true })).findings).toMatchObject([{ problem: 'bytes_missing', key }]);
  expect(await storage.list()).toMatchObject([{ filename, metadata: { prompt: 'a red fox' } }]);
});

it('restores a record without a moment in which another daemon could see none', async () => {
  const bucket: MemoryBucket = new Map();
  const removed: string[] = [];
  const { remove } = memoryObjects(bucket);
  const watched = async (key: string) => {
    removed.push(key);
    await remove(key);
  };
  const provider = await openOver(bucket, { objects: { remove: watched } });
  const { filename } = await provider.save(BYTES, FOX);
  await handsOnObjects(memoryObjects(bucket)).write(recordKey(filename), Buffer.from('scribble'));
  const runs = await Promise.all([verified(provider, { repair: true }), verified(provider, { repair: true })]);
  expect(runs.flatMap(({ findings }) => findings.map(({ remedy }) => remedy))).toContain('restored');
  // The first start tries the bucket.
  expect(removed.filter((key) => !key.startsWith('outputs/metadata/doctor/'))).toEqual([]);
  expect(String(bucket.get(recordKey(filename))?.bytes)).toContain('a red fox');
  expect([...bucket.keys()].filter((key) => key.includes('/quarantine/'))).not.toEqual([]);
});

it('quarantines what does not fit into memory, and passes over what consoles make of folders', async () => {
  const { storage, hands } = await openMemoryBucket();
  const bytes = pngOf({ width: 8, height: 8, sizeBytes: 9_000_000 });
  await hands.write('outputs/images/large.png', bytes);
  await hands.write('outputs/images/generations/', Buffer.alloc(0));
  expect((await verified(storage, { repair: true })).findings).toMatchObject([{ key: 'outputs/images/large.png' }]);
  const kept = await hands.read('outputs/metadata/quarantine/images/large.png');
  expect(sha256Of(kept)).toBe(sha256Of(bytes));
  expect(await hands.keys()).toContain('outputs/images/generations/');
});

it('forgets nothing where most images have no bytes', async () => {
  const { storage, hands } = await openMemoryBucket();
  const saved = [await storage.save(BYTES, FOX), await storage.save(BYTES, FOX), await storage.save(BYTES, FOX)];
  for (const { key } of saved.slice(1)) await hands.remove(key);
  expect((await verified(storage)).findings).toHaveLength(2);
  await expect(verified(storage, { forgetMissing: true })).rejects.toMatchObject({ reason: 'STORE_REPLACED' });
  expect(await storage.list()).toHaveLength(3);
});

it('refuses a bucket that was emptied or holds another store, and forgets nothing', async () => {
  const { storage, hands } = await openMemoryBucket();
  const { filename, key } = await storage.save(BYTES, FOX);
  for (const lost of [key, recordKey(filename), 'outputs/metadata/FORMAT']) await hands.remove(lost);
  const refused = { reason: 'STORE_REPLACED' };
  await expect(verified(storage, { forgetMissing: true })).rejects.toMatchObject(refused);
  await hands.write('outputs/metadata/FORMAT', Buffer.from('{"format":"image-storage","version":1,"storeId":"x"}'));
  await expect(verified(storage, { forgetMissing: true })).rejects.toMatchObject(refused);
  expect((await storage.list()).map((item) => item.filename)).toEqual([filename]);
});

it('is unavailable while the bucket is, and says so', async () => {
  let away = false;
  const bucket: MemoryBucket = new Map();
  const objects = memoryObjects(bucket);
  const get: ObjectStore['get'] = async (key, ...rest) => {
    if (away && key.startsWith('outputs/images/')) throw new ObjectStoreError('unavailable', 'no answer');
    return objects.get(key, ...rest);
  };
  const provider = await openOver(bucket, { objects: { get } });
  await provider.save(BYTES, FOX);
  away = true;
  await expect(verified(provider, { deep: true })).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE' });
  away = false;
  expect((await verified(provider, { deep: true })).findings).toEqual([]);
});

it('reads no further ahead than somebody looks on', async () => {
  let reads = 0;
  const bucket: MemoryBucket = new Map();
  const objects = memoryObjects(bucket);
  const get: ObjectStore['get'] = async (key, ...rest) => {
    if (key.startsWith('outputs/images/')) reads += 1;
    return objects.get(key, ...rest);
  };
  const [provider, target] = [await openOver(bucket, { objects: { get } }), await openOver(new Map())];
  await Promise.all(Array.from({ length: 60 }, () => provider.save(BYTES, FOX)));
  for await (const _ of provider.verify({ deep: true })) break;
  expect(reads).toBeLessThan(20);
  for await (const event of copyImages(provider, target, { concurrency: 4 })) {
    if (event.kind === 'progress' && event.progress.images > 0) break;
  }
  expect(await target.list()).toSatisfy((copies: unknown[]) => copies.length > 0 && copies.length <= 8);
});
