/** The provider `memory`, and so the protocol of object stores: the conformance suite, and what only a bucket has. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { type ObjectStore, ObjectStoreError } from '../../src/storage/bucket/object-store.ts';
import { retrying } from '../../src/storage/bucket/retrying-store.ts';
import { imageKey } from '../../src/storage/domain/naming.ts';
import type { StorageProvider } from '../../src/storage/index.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { type ObjectStorageOptions, openObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { foldS3Error } from '../../src/storage/s3/errors.ts';
import { describeProvider, openMain } from '../providers/provider-suite.ts';
import type { OpenOptions } from '../providers/tested-provider.ts';
import { contextOf, strayObjects } from '../support/bucket.ts';
import { chunked, collect } from '../support/bytes.ts';
import { pngOf } from '../support/images.ts';

function openMemory(options: OpenOptions = {}) {
  const bucket: MemoryBucket = new Map();
  return openMain({
    settings: (stateDir) => ({ type: 'memory', bucket, stateDir }),
    leftovers: async (_, stateDir) => [...strayObjects(bucket), ...(await spooled(stateDir))],
    ...options,
  });
}

const spooled = (stateDir: string) => readdir(join(stateDir, 'spool', 'main'));

describeProvider('memory', {
  open: openMemory,
  storageType: 'memory',
  hasTrash: true,
  urlOf: (key) => new RegExp(`^memory:///${key}$`),
});

const SAVE = { prompt: 'a red fox', model: 'flux-schnell', timestamp: new Date('2024-09-27T14:15:22Z') };
const OFTEN = { syncSeconds: 0.05, fullSyncMinutes: 0.05 / 60 };
const PNG = pngOf({ width: 8, height: 8 });

/** Providers over one bucket, each with a state folder of its own; all are closed and removed in the end. */
async function openSeveral(bucket: MemoryBucket, count: number, settings: Partial<ObjectStorageOptions> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const open = (index: number, given: Partial<ObjectStorageOptions> = {}) => {
    const options = { ...memoryStorage(memoryObjects(bucket)), stateDir: join(folder, `${index}`), lockWaitSeconds: 0 };
    return openObjectStorage({ ...options, ...settings, ...given }, contextOf());
  };
  const providers = await Promise.all(Array.from({ length: count }, (_, index) => open(index)));
  onTestFinished(async () => {
    for (const provider of providers) await provider.close();
    await rm(folder, { recursive: true });
  });
  return { providers, open, stateDir: (index: number) => join(folder, `${index}`) };
}

const namesOf = async (provider: StorageProvider) => (await provider.list()).map((item) => item.filename);

it('sets on the object what browsers and caches go by, and explains it by a record that no cache keeps', async () => {
  const bucket: MemoryBucket = new Map();
  const { providers } = await openSeveral(bucket, 1);
  const { key, filename, sha256 } = await providers[0]!.save(PNG, SAVE, { idempotencyKey: 'secret' });
  expect(bucket.get(key)?.headers).toMatchObject({
    contentType: 'image/png',
    cacheControl: 'public, max-age=31536000, immutable',
    contentDisposition: `inline; filename="${filename}"`,
    metadata: { sha256 },
  });
  expect(JSON.stringify(bucket.get(key)?.headers)).not.toContain('secret');
  const record = bucket.get(`outputs/metadata/generations/2024-09-27/flux-schnell/${filename}.json`);
  expect(record?.headers).toMatchObject({ contentType: 'application/json', cacheControl: 'no-store' });
  expect(JSON.parse(String(record?.bytes))).toMatchObject({ version: 1, filename, prompt: 'a red fox', sha256 });
});

it('sends what does not fit into memory from a file, which is gone afterwards', async () => {
  const { providers, stateDir } = await openSeveral(new Map(), 1);
  const bytes = pngOf({ width: 8, height: 8, sizeBytes: 9_000_000 });
  const { filename } = await providers[0]!.save(chunked(bytes, 100_000), SAVE);
  const read = await collect((await providers[0]!.get(filename)).body);
  expect(read.equals(bytes)).toBe(true);
  expect(await spooled(stateDir(0))).toEqual([]);
});

it('says DATA_LOSS when somebody replaced, cut or removed an object', async () => {
  const bucket: MemoryBucket = new Map();
  const { providers } = await openSeveral(bucket, 1);
  const damage: [string, (key: string) => void][] = [
    ['BYTES_CORRUPT', (key) => bucket.set(key, { ...bucket.get(key)!, bytes: Buffer.from(PNG).fill(0, 40, 44) })],
    ['BYTES_CORRUPT', (key) => bucket.set(key, { ...bucket.get(key)!, bytes: PNG.subarray(0, 40) })],
    ['BYTES_MISSING', (key) => bucket.delete(key)],
  ];
  for (const [reason, spoil] of damage) {
    const { filename, key } = await providers[0]!.save(PNG, SAVE);
    spoil(key);
    await expect(collect((await providers[0]!.get(filename)).body)).rejects.toMatchObject({
      code: 'data_loss',
      reason,
    });
  }
});

it('serves two daemons on one bucket: saves, keys and deletes of either are final for both', async () => {
  const { providers } = await openSeveral(new Map(), 2, { shared: true, ...OFTEN });
  const [a, b] = providers as [StorageProvider, StorageProvider];
  const saved = await a.save(PNG, SAVE, { idempotencyKey: 'k' });
  expect((await b.get(saved.filename)).item).toEqual(expect.objectContaining({ sha256: saved.sha256 }));
  expect(await b.save(PNG, SAVE, { idempotencyKey: 'k' })).toMatchObject({ replayed: true, filename: saved.filename });
  const reused = b.save(pngOf({ width: 9, height: 9 }), SAVE, { idempotencyKey: 'k' });
  await expect(reused).rejects.toMatchObject({ reason: 'IDEMPOTENCY_KEY_REUSED' });
  await expect.poll(() => namesOf(b)).toEqual([saved.filename]);
  const [first, second] = await Promise.all([a.delete(saved.filename), b.delete(saved.filename)]);
  expect([first, second].filter(Boolean)).toHaveLength(1);
  for (const provider of [a, b]) {
    await expect(provider.get(saved.filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
    await expect.poll(() => namesOf(provider)).toEqual([]);
  }
  expect(await a.save(PNG, SAVE, { idempotencyKey: 'k' })).toMatchObject({ replayed: true });
});

it('makes one image of a copy and a save with the same key that meet', async () => {
  const bucket: MemoryBucket = new Map();
  const { providers, open } = await openSeveral(new Map(), 1);
  const source = providers[0]!;
  const [arrived, gate, read] = [1, 2, 3].map(() => Promise.withResolvers<void>()) as PromiseWithResolvers<void>[];
  const filename = '20240927_141522_flux-schnell_zzzzzz.png';
  const objects = memoryObjects(bucket);
  const putNew: ObjectStore['putNew'] = async (key, ...rest) => {
    if (key.endsWith(`${filename}.json`)) {
      arrived!.resolve();
      await gate!.promise;
    }
    return objects.putNew(key, ...rest);
  };
  const target = await open(1, { objects: { ...objects, putNew } });
  onTestFinished(() => target.close());
  await source.save(PNG, SAVE, { idempotencyKey: 'k' });
  const { value: record } = await source.records({})[Symbol.asyncIterator]().next();
  // As it would come from a folder, whose names are not derived from keys.
  const copying = target.copyIn({ ...record, filename, key: imageKey(filename) }, source.bytesOf(record));
  await arrived!.promise;
  const bytes = (async function* () {
    yield PNG;
    read!.resolve();
  })();
  const saving = target.save(bytes, SAVE, { idempotencyKey: 'k' });
  await read!.promise;
  for (let turn = 0; turn < 10; turn += 1) await setImmediate();
  gate!.resolve();
  expect(await copying).toBe(true);
  expect(await saving).toMatchObject({ filename, replayed: true });
  expect(await namesOf(target)).toEqual([filename]);
});

it('counts in Cleanup only what it deleted itself, and knows of all that others did before', async () => {
  const { providers } = await openSeveral(new Map(), 2, { shared: true, syncSeconds: 3600 });
  const [a, b] = providers as [StorageProvider, StorageProvider];
  const saved = await Promise.all(Array.from({ length: 6 }, () => a.save(PNG, SAVE)));
  await a.delete(saved[0]!.filename);
  expect(await b.cleanup({ keepCount: 2 })).toMatchObject({ deletedCount: 3, more: false });
  expect((await a.cleanup({ keepCount: 0 })).deletedCount).toBe(2);
});

it('ends a Cleanup that still learns of others when it closes', async () => {
  const bucket: MemoryBucket = new Map();
  const { providers, open } = await openSeveral(bucket, 1);
  const arrived = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let reads = 0;
  const objects = memoryObjects(bucket);
  const get: ObjectStore['get'] = async (key, ...rest) => {
    if (key.includes('metadata/generations/')) {
      reads += 1;
      arrived.resolve();
      await gate.promise;
    }
    return objects.get(key, ...rest);
  };
  const slow = await open(1, { shared: true, objects: { ...objects, get } });
  const saved = await Promise.all(Array.from({ length: 40 }, () => providers[0]!.save(PNG, SAVE)));
  const cleaning = slow.cleanup({ keepCount: 0 });
  await arrived.promise;
  const closing = slow.close();
  gate.resolve();
  await expect(cleaning).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE', message: 'the store is closing' });
  await closing;
  expect(reads).toBeLessThan(saved.length);
  expect(await namesOf(providers[0]!)).toHaveLength(saved.length);
});

it('says of a Cleanup that failed half-way that some are gone, so that it is not done twice', async () => {
  const bucket: MemoryBucket = new Map();
  const { open } = await openSeveral(bucket, 0);
  const objects = memoryObjects(bucket);
  let allowed = Number.POSITIVE_INFINITY;
  const replaceIf: ObjectStore['replaceIf'] = async (...args) => {
    if (--allowed < 0) throw new ObjectStoreError('auth', 'the service refuses the key');
    return objects.replaceIf(...args);
  };
  const store = await open(1, { objects: { ...objects, replaceIf } });
  onTestFinished(() => store.close());
  await Promise.all([1, 2, 3].map(() => store.save(PNG, SAVE)));
  const cleaning = () => store.cleanup({ keepCount: 0 });
  allowed = 0;
  await expect(cleaning()).rejects.toMatchObject({ reason: 'BACKEND_AUTH', outcomeUnknown: false });
  allowed = 2;
  await expect(cleaning()).rejects.toMatchObject({ reason: 'BACKEND_AUTH', outcomeUnknown: true });
  expect(await namesOf(store)).toHaveLength(1);
});

it('builds a lost catalog in the background: saves, reads and deletes go on, lists wait for it', async () => {
  const bucket: MemoryBucket = new Map();
  const { providers, open } = await openSeveral(bucket, 1);
  const saved = await Promise.all([1, 2, 3].map(() => providers[0]!.save(PNG, SAVE)));
  const gate = Promise.withResolvers<void>();
  const objects = {
    ...memoryObjects(bucket),
    list: async (...args: [string, string?]) => {
      await gate.promise;
      return memoryObjects(bucket).list(...args);
    },
  };
  const fresh = await open(1, { objects });
  onTestFinished(() => fresh.close());
  await expect(fresh.list()).rejects.toMatchObject({ code: 'unavailable', reason: 'CATALOG_REBUILDING' });
  await expect(fresh.getStatistics()).rejects.toMatchObject({ reason: 'CATALOG_REBUILDING' });
  await expect(fresh.cleanup({ keepCount: 0 })).rejects.toMatchObject({ reason: 'CATALOG_REBUILDING' });
  expect(await collect((await fresh.get(saved[0]!.filename)).body)).toEqual(PNG);
  expect(await fresh.delete(saved[1]!.filename)).toBe(true);
  const another = await fresh.save(PNG, SAVE);
  gate.resolve();
  const expected = [saved[0]!, saved[2]!, another].map(({ filename }) => filename).sort();
  await expect.poll(async () => (await namesOf(fresh).catch(() => [])).sort()).toEqual(expected);
});

it('refuses a bucket that is not the one its state belongs to, and writes nothing into it', async () => {
  const { providers, open } = await openSeveral(new Map(), 1);
  await providers[0]!.close();
  const other: MemoryBucket = new Map();
  const refused = { name: 'StoreOpenError', kind: 'config' };
  await expect(open(0, memoryStorage(memoryObjects(other)))).rejects.toMatchObject(refused);
  expect(other.size).toBe(0);
  const { providers: others } = await openSeveral(other, 1);
  await others[0]!.close();
  await expect(open(0, memoryStorage(memoryObjects(other)))).rejects.toMatchObject(refused);
});

it('stops writing when the bucket is emptied under it', async () => {
  const bucket: MemoryBucket = new Map();
  const { providers } = await openSeveral(bucket, 1, { shared: true, ...OFTEN });
  const { filename } = await providers[0]!.save(PNG, SAVE);
  bucket.clear();
  await expect.poll(() => providers[0]!.health.serving).toBe(false);
  await expect(providers[0]!.save(PNG, SAVE)).rejects.toMatchObject({ reason: 'STORE_REPLACED' });
  expect(await namesOf(providers[0]!)).toEqual([filename]);
});

it('refuses a service that ignores conditions on Put, by name', async () => {
  const bucket: MemoryBucket = new Map();
  const objects = memoryObjects(bucket);
  const put: ObjectStore['putNew'] = async (key, ...rest) => {
    bucket.delete(key);
    return objects.putNew(key, ...rest);
  };
  await expect(openSeveral(bucket, 1, { objects: { ...objects, putNew: put } })).rejects.toThrow('If-None-Match');
  const replace: ObjectStore['replaceIf'] = (key, body, headers) => put(key, body, headers);
  await expect(openSeveral(new Map(), 1, { objects: { ...objects, replaceIf: replace } })).rejects.toThrow('If-Match');
});

it('sends a request that stalls once more, and does not go on for minutes', async () => {
  let [clock, attempts] = [0, 0];
  const list: ObjectStore['list'] = async () => {
    attempts += 1;
    clock += 30_000;
    throw new ObjectStoreError('unavailable', 'no answer in half a minute');
  };
  const store = retrying({ ...memoryObjects(new Map()), list }, { sleep: async () => {}, now: () => clock });
  await expect(store.list('')).rejects.toMatchObject({ failure: 'unavailable' });
  expect(attempts).toBe(2);
});

it('shows in health that the bucket refuses all calls, until it does no more', async () => {
  const objects = memoryObjects(new Map());
  let refusal: ObjectStoreError | undefined;
  const refusing = async () => {
    if (refusal !== undefined) throw refusal;
  };
  const remove: ObjectStore['remove'] = (key) => refusing().then(() => objects.remove(key));
  const putNew: ObjectStore['putNew'] = (...args) => refusing().then(() => objects.putNew(...args));
  const { providers } = await openSeveral(new Map(), 1, { objects: { ...objects, remove, putNew } });
  const provider = providers[0]!;
  for (const failure of ['auth', 'misconfigured'] as const) {
    refusal = undefined;
    const { filename } = await provider.save(PNG, SAVE);
    refusal = foldS3Error({ $metadata: { httpStatusCode: 403 } }, 'write');
    await expect(provider.delete(filename)).rejects.toMatchObject({ reason: 'BYTES_REMAIN' });
    await expect(provider.get(filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
    expect(provider.health).toEqual({ serving: true });
    refusal = new ObjectStoreError(failure, 'nothing at all');
    await expect(provider.save(PNG, SAVE)).rejects.toMatchObject({ reason: expect.stringMatching(/^BACKEND_/) });
    expect(provider.health).toMatchObject({ serving: false });
  }
  refusal = undefined;
  await expect.poll(() => provider.health).toEqual({ serving: true });
});

it('says whether a failed save may have happened, and in health that the bucket is away', async () => {
  const bucket: MemoryBucket = new Map();
  const objects = memoryObjects(bucket);
  let cut: RegExp | undefined;
  const away = { failure: 'unavailable', maybeApplied: true } as const;
  const guarded = (key: string) => {
    if (cut?.test(key)) throw new ObjectStoreError(away.failure, 'no answer', away);
  };
  const put: ObjectStore['putNew'] = async (key, ...rest) => {
    guarded(key);
    return objects.putNew(key, ...rest);
  };
  const get: ObjectStore['get'] = async (key, ...rest) => {
    guarded(key);
    return objects.get(key, ...rest);
  };
  const retry = { sleep: async () => {} };
  const { providers } = await openSeveral(bucket, 1, { objects: { ...objects, putNew: put, get }, retry });
  const save = () => providers[0]!.save(PNG, SAVE);
  cut = /./;
  await expect(save()).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE', outcomeUnknown: false });
  expect(providers[0]!.health).toMatchObject({ serving: false });
  cut = /metadata/;
  await expect(save()).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE', outcomeUnknown: true });
  cut = undefined;
  await save();
  expect(providers[0]!.health).toEqual({ serving: true });
});
