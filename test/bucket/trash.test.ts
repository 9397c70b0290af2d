/** What only a bucket has of a trash: objects that stay, several daemons, purges by two clocks, and FORMAT. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { changeNeeds, checkIdentity } from '../../src/storage/bucket/format.ts';
import type { BucketOptions } from '../../src/storage/bucket/open.ts';
import { openStore } from '../../src/storage/bucket/open.ts';
import { purgeDue } from '../../src/storage/bucket/purge-due.ts';
import { resolveOperations } from '../../src/storage/bucket/recover.ts';
import { BUCKET_TOMBSTONE_MS, sweep } from '../../src/storage/bucket/sweep.ts';
import type { Finding, VerifyOptions } from '../../src/storage/domain/maintenance.ts';
import { imageKey, recordKey } from '../../src/storage/domain/naming.ts';
import { PurgeClock } from '../../src/storage/domain/purge-clock.ts';
import type { StorageProvider } from '../../src/storage/index.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { ObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { contextOf, strayObjects } from '../support/bucket.ts';
import { collect } from '../support/bytes.ts';
import { pngOf } from '../support/images.ts';

const HOUR = 60 * 60 * 1000;
const DAY = 24 * HOUR;
const FORMAT = 'outputs/metadata/FORMAT';
const SAVE = { prompt: 'a red fox', model: 'flux-schnell', timestamp: new Date('2024-09-27T14:15:22Z') };
const PNG = pngOf({ width: 8, height: 8 });
const KEYED = { idempotencyKey: 'k' };
const NO_IMAGE = { reason: 'IMAGE_NOT_FOUND' };

let bucket: MemoryBucket;
let folder: string;
let now: number;
let skewMs: number;
let logged: string[];

beforeEach(async () => {
  bucket = new Map();
  [now, skewMs, logged] = [Date.UTC(2026, 0, 1), 0, []];
  folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(folder, { recursive: true }));
});

/** A daemon over the bucket without its background work. */
async function open(name: string, settings: Partial<BucketOptions> = {}) {
  const objects = memoryObjects(bucket, { now: () => now + skewMs });
  const log = { debug() {}, info() {}, error() {}, warn: (_: object, message: string) => logged.push(message) };
  const options = { objects, stateDir: join(folder, name), lockWaitSeconds: 0, trash: { days: 7 }, ...settings };
  const store = await openStore(options, contextOf({ now: () => now, log }));
  await store.synchronizer.run();
  const provider = new ObjectStorage(store, memoryStorage(objects), async () => {});
  onTestFinished(() => provider.close());
  return { store, provider };
}

type Opened = Awaited<ReturnType<typeof open>>;

const openShared = (name: string, settings: Partial<BucketOptions> = {}) => open(name, { shared: true, ...settings });
const live = async (provider: StorageProvider) => (await provider.list()).map(({ filename }) => filename);
const trash = async (provider: StorageProvider) => (await provider.listTrash()).map(({ filename }) => filename);
const formatIn = () => JSON.parse(`${bucket.get(FORMAT)!.bytes}`);

it('keeps the object where it is, with the whole record in one of another version', async () => {
  const { provider } = await open('a');
  const { filename, key } = await provider.save(PNG, SAVE, KEYED);
  const before = JSON.parse(`${bucket.get(recordKey(filename))!.bytes}`);
  await provider.delete(filename);
  expect(bucket.get(key)!.bytes.equals(PNG)).toBe(true);
  const after = JSON.parse(`${bucket.get(recordKey(filename))!.bytes}`);
  const purgeTime = new Date(now + 7 * DAY).toISOString();
  expect(after).toMatchObject({ version: 2, trashed: true, filename, purgeTime, record: before });
  await provider.purge({ all: true });
  expect(bucket.has(key)).toBe(false);
  expect(JSON.parse(`${bucket.get(recordKey(filename))!.bytes}`)).toMatchObject({ tombstone: 'deleted' });
});

it('is exact for all daemons of a bucket, whose lists follow', async () => {
  const [a, b] = [await openShared('a'), await openShared('b')];
  const { filename } = await a.provider.save(PNG, SAVE, KEYED);
  await b.store.synchronizer.run();
  await a.provider.delete(filename);
  await expect(b.provider.get(filename)).rejects.toMatchObject(NO_IMAGE);
  expect(await b.provider.delete(filename)).toBe(false);
  expect(await trash(b.provider)).toEqual([filename]);
  const restored = await Promise.allSettled([a.provider.restore(filename), b.provider.restore(filename)]);
  expect(restored.map(({ status }) => status)).toContain('fulfilled');
  for (const { provider } of [a, b]) await collect((await provider.get(filename)).body);
  const deleted = await Promise.all([a.provider.delete(filename), b.provider.delete(filename)]);
  expect(deleted.filter(Boolean)).toHaveLength(1);
  const purged = await Promise.all([a, b].map(({ provider }) => provider.purge({ filenames: [filename] })));
  expect(purged.map(({ count }) => count).sort()).toEqual([0, 1]);
  await expect(b.provider.restore(filename)).rejects.toMatchObject(NO_IMAGE);
  for (const { store, provider } of [a, b]) {
    await store.synchronizer.run();
    expect([await live(provider), await trash(provider)]).toEqual([[], []]);
  }
  expect(strayObjects(bucket)).toEqual([]);
});

it('leaves the trashed bytes whatever meets them: a replay, a delete, a sweep, a sync, a repair', async () => {
  const [a, b] = [await openShared('a'), await openShared('b')];
  const { filename, key } = await a.provider.save(PNG, SAVE, KEYED);
  await a.provider.delete(filename);
  // Has no row of it.
  expect(await b.provider.save(PNG, SAVE, KEYED)).toMatchObject({ filename, replayed: true, deleted: true });
  const unless = b.provider.save(PNG, SAVE, { ...KEYED, unlessDeleted: true });
  await expect(unless).rejects.toMatchObject({ reason: 'DELETED_BEFORE' });
  const other = { nonce: 'n', filename, idempotencyKey: '', fingerprint: '' };
  await resolveOperations(b.store, [
    { ...other, kind: 'save' },
    { ...other, kind: 'delete' },
    { ...other, kind: 'purge', lastDelete: 'another' },
  ]);
  now += 2 * HOUR;
  await sweep(b.store, BUCKET_TOMBSTONE_MS);
  await b.store.synchronizer.run();
  expect(await findings(b.provider, { repair: true, deep: true })).toEqual([]);
  expect(bucket.get(key)!.bytes.equals(PNG)).toBe(true);
  expect(strayObjects(bucket)).toEqual([]);
  await b.provider.restore(filename);
  expect(await a.provider.save(PNG, SAVE, KEYED)).toMatchObject({ replayed: true, deleted: false });
});

it('purges nothing before its time, nor while a clock is in doubt, nor on the day of a lost catalog', async () => {
  const { store, provider } = await open('a');
  let elapsed = 0;
  const clock = new PurgeClock({ now: () => now, elapsed: () => elapsed });
  const purge = async (ms: number) => {
    now += ms;
    elapsed += ms;
    await purgeDue(store, clock);
    return (await trash(provider)).length;
  };
  const { filename, key } = await provider.save(PNG, SAVE);
  await provider.delete(filename);
  expect(await purge(2 * DAY)).toBe(1);
  now += 5 * DAY;
  // The clock jumped.
  expect([await purge(0), await purge(HOUR / 2)]).toEqual([1, 1]);
  skewMs = -HOUR;
  expect(await purge(HOUR)).toBe(1);
  expect(logged.join()).toMatch('the clock differs from that of the bucket');
  skewMs = 0;
  await store.catalog.setQuietUntil(now + DAY);
  expect(await purge(DAY / 2)).toBe(1);
  expect(bucket.has(key)).toBe(true);
  expect(await purge(DAY / 2)).toBe(0);
  expect(bucket.has(key)).toBe(false);
  expect(strayObjects(bucket)).toEqual([]);
  expect([...bucket.keys()].filter((each) => each.includes('doctor'))).toEqual([]);
});

it('purges by the time in the bucket, not by that of a catalog that is behind', async () => {
  const [a, b] = [await openShared('a'), await openShared('b')];
  const { filename, key } = await a.provider.save(PNG, SAVE);
  await a.provider.delete(filename);
  await b.store.synchronizer.run();
  now += 6 * DAY;
  await a.provider.restore(filename);
  await a.provider.delete(filename);
  now += 2 * DAY;
  await purgeDue(b.store, { mayPurge: () => true });
  expect(bucket.has(key)).toBe(true);
  expect(await trash(b.provider)).toEqual([filename]);
});

it('notes when an image came back, and keeps names and keys taken for thirty days from the purge', async () => {
  const { store, provider } = await open('a');
  const { filename } = await provider.save(PNG, SAVE, KEYED);
  expect(await store.catalog.arrivedSince([filename], now)).toEqual([]);
  await provider.delete(filename);
  now += HOUR;
  await provider.restore(filename);
  expect(await store.catalog.arrivedSince([filename], now - 1)).toEqual([filename]);
  await provider.update(filename, { addTags: ['t'] });
  expect(await store.catalog.arrivedSince([filename], now - 1)).toEqual([filename]);
  await provider.delete(filename);
  now += DAY;
  await provider.purge({ all: true });
  now += BUCKET_TOMBSTONE_MS - HOUR;
  await sweep(store, BUCKET_TOMBSTONE_MS);
  expect(await provider.save(PNG, SAVE, KEYED)).toMatchObject({ filename, replayed: true, deleted: true });
  now += 2 * HOUR;
  await sweep(store, BUCKET_TOMBSTONE_MS);
  expect(await provider.save(PNG, SAVE, KEYED)).toMatchObject({ filename, replayed: false });
});

it('takes a catalog of any moment for what it is: nothing is gone early, nothing back that was not restored', async () => {
  const images: Record<string, string[]> = { kept: [], deleted: [], restored: [], again: [], purged: [] };
  const first = await open('a');
  const moments = ['before', 'between', 'after'];
  const names = Object.keys(images);
  for (const name of names) images[name] = [(await first.provider.save(PNG, SAVE)).filename];
  const namesOf = (...chosen: string[]) => chosen.flatMap((name) => images[name]!);
  const steps = [
    async () => {},
    async ({ provider }: Opened) => {
      for (const filename of namesOf('deleted', 'restored', 'again', 'purged')) await provider.delete(filename);
    },
    async ({ provider }: Opened) => {
      for (const filename of namesOf('restored', 'again')) await provider.restore(filename);
      for (const filename of namesOf('purged')) await provider.purge({ filenames: [filename] });
      for (const filename of namesOf('again')) await provider.delete(filename);
    },
  ];
  await first.provider.close();
  for (const [at, step] of steps.entries()) {
    const opened = await open('a');
    await step(opened);
    await opened.provider.close();
    await cp(join(folder, 'a'), join(folder, moments[at]!), { recursive: true });
    now += HOUR;
  }
  for (const moment of moments) {
    const { provider, store } = await open(moment);
    expect((await live(provider)).sort(), moment).toEqual(namesOf('kept', 'restored').sort());
    expect((await trash(provider)).sort(), moment).toEqual(namesOf('deleted', 'again').sort());
    await purgeDue(store, { mayPurge: () => true });
    expect(await findings(provider, { repair: true, deep: true }), moment).toEqual([]);
    await provider.close();
  }
  expect(strayObjects(bucket)).toEqual([]);
});

it('stops the writes of a daemon whose bucket was left to older versions', async () => {
  const [a, b] = [await openShared('a'), await openShared('b')];
  await changeNeeds(b.store.objects, b.store.storeId, []);
  await expect(checkIdentity(a.store)).rejects.toMatchObject({ reason: 'STORE_REPLACED' });
  const { filename } = await b.provider.save(PNG, SAVE);
  await expect(a.provider.delete(filename)).rejects.toMatchObject({ reason: 'STORE_REPLACED' });
});

it('says of an image whose object is gone that its bytes are missing, and forgets it only when told to', async () => {
  const { provider } = await open('a');
  const [one, other] = [await provider.save(PNG, SAVE), await provider.save(PNG, SAVE)];
  for (const { filename, key } of [one, other]) {
    await provider.delete(filename);
    bucket.delete(key);
  }
  await expect(provider.restore(one.filename)).rejects.toMatchObject({ reason: 'BYTES_MISSING' });
  const found = { problem: 'bytes_missing', remedy: 'none', detail: 'it is in the trash' };
  expect(await findings(provider)).toMatchObject([found, found]);
  expect(await trash(provider)).toHaveLength(2);
  const forgotten = { ...found, remedy: 'forgotten' };
  expect(await findings(provider, { forgetMissing: true })).toMatchObject([forgotten, forgotten]);
  expect(await trash(provider)).toEqual([]);
});

it('puts a record of the trash back that somebody removed or garbled, and never makes the image live', async () => {
  const { store, provider } = await open('a');
  const saved = [await provider.save(PNG, SAVE), await provider.save(PNG, SAVE)];
  const filenames = saved.map(({ filename }) => filename).sort();
  for (const filename of filenames) await provider.delete(filename);
  bucket.delete(recordKey(filenames[0]!));
  const garbled = { ...bucket.get(recordKey(filenames[1]!))!, bytes: Buffer.from('{'), etag: 'garbled' };
  bucket.set(recordKey(filenames[1]!), garbled);
  await store.synchronizer.run();
  now += 2 * DAY;
  const found = { problem: 'record_damaged', remedy: 'restored' };
  expect(await findings(provider, { repair: true })).toMatchObject([found, found]);
  expect((await trash(provider)).sort()).toEqual(filenames);
  for (const filename of filenames) await provider.restore(filename);
  expect((await live(provider)).sort()).toEqual(filenames);
  expect(await findings(provider, { deep: true })).toEqual([]);
});

it('is in the FORMAT of a bucket that begins with it, and of one that nobody else uses', async () => {
  const { provider } = await open('a', { trash: { days: 0 } });
  expect(formatIn()).toMatchObject({ version: 1 });
  expect(formatIn()).not.toHaveProperty('needs');
  const { storeId } = formatIn();
  await provider.close();
  await (await open('a')).provider.close();
  expect(formatIn()).toEqual({ format: 'image-storage', version: 2, storeId, needs: ['trash'] });
  await (await open('a', { trash: { days: 0 } })).provider.close();
  expect(formatIn()).toMatchObject({ version: 2 });
  bucket.clear();
  await (await openShared('c')).provider.close();
  expect(formatIn()).toMatchObject({ version: 2, needs: ['trash'] });
});

it('deletes for good in a shared bucket that was made without it, and says so at the start', async () => {
  const made = await openShared('a', { trash: { days: 0 } });
  await made.provider.close();
  const { provider } = await openShared('b');
  expect(logged.join()).toMatch('deletes are for good');
  expect(formatIn()).toMatchObject({ version: 1 });
  const { filename } = await provider.save(PNG, SAVE);
  expect(await provider.remove(filename)).toEqual({ deleted: true });
  expect(bucket.has(imageKey(filename))).toBe(false);
});

async function findings(provider: ObjectStorage, options: VerifyOptions = {}): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const event of provider.verify(options)) if (event.kind === 'finding') found.push(event.finding);
  return found;
}
