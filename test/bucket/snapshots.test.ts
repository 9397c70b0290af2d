/** Snapshots of records: what fills a catalog, what counts of them, and what becomes of the deleted images in them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { expect, it, onTestFinished } from 'vitest';
import { type OpenStore, openStore } from '../../src/storage/bucket/open.ts';
import { makeSnapshots, SnapshotUpkeep } from '../../src/storage/bucket/snapshots.ts';
import { imageKey, recordKey } from '../../src/storage/domain/naming.ts';
import { type MemoryBucket, memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { ObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { contextOf } from '../support/bucket.ts';
import { pngOf } from '../support/images.ts';
import { copiesIn, counting, linesOf, putRecords, SNAPSHOTS, snapshotsIn } from '../support/snapshots.ts';

const HOUR_MS = 3_600_000;
/** Of one snapshot. */
const SIZE = 100;
const PNG = pngOf({ width: 8, height: 8 });

interface Opened {
  store: OpenStore;
  provider: ObjectStorage;
  reads: { records: number; snapshots: number };
  warnings: unknown[];
}

/** A bucket, and daemons over it, each with a state folder of its own. */
async function world({ pageSize = 1000 } = {}) {
  const bucket: MemoryBucket = new Map();
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const clock = { now: Date.UTC(2026, 2, 1) };
  const now = () => clock.now;
  const opened: ObjectStorage[] = [];
  onTestFinished(async () => {
    for (const provider of opened) await provider.close();
    await rm(folder, { recursive: true });
  });
  const open = async (options: { shared?: boolean; trash?: { days: number } } = {}): Promise<Opened> => {
    const warnings: unknown[] = [];
    const { objects, reads } = counting(memoryObjects(bucket, { now, pageSize }));
    const stateDir = join(folder, `${opened.length}`);
    const log = { ...contextOf().log, warn: (facts: object | string) => warnings.push(facts) };
    const store = await openStore({ objects, stateDir, shared: true, ...options }, contextOf({ now, log }));
    await store.synchronizer.run();
    const provider = new ObjectStorage(store, memoryStorage(objects), async () => {});
    opened.push(provider);
    return { store, provider, reads, warnings };
  };
  return { bucket, objects: memoryObjects(bucket, { now }), clock, open };
}

const make = (store: OpenStore) => makeSnapshots(store, { size: SIZE });
const namesOf = async (provider: ObjectStorage) => (await provider.list()).map(({ filename }) => filename);

it('fill a new catalog with what the records say, and with a request for a thousand of them', async () => {
  const { bucket, objects, open } = await world();
  const records = await putRecords(objects, 0, 260);
  const first = await open();
  expect(await make(first.store)).toEqual({ snapshots: 3, records: 260 });
  expect(snapshotsIn(bucket)).toHaveLength(3);
  const second = await open();
  expect(second.reads).toEqual({ records: 0, snapshots: 3 });
  const listed = await second.provider.list();
  expect(listed).toEqual(await first.provider.list());
  expect(listed).toHaveLength(records.length);
  expect(await second.provider.getStatistics()).toEqual(await first.provider.getStatistics());
  // Nothing has changed: nothing is written.
  expect(await make(second.store)).toEqual({ snapshots: 0, records: 0 });
});

it('count only as far as the listing agrees', async () => {
  const { bucket, objects, open } = await world();
  const [changed, deleted, trashed, removed, ...others] = await putRecords(objects, 0, 50);
  const first = await open({ trash: { days: 7 } });
  for (const { filename } of [deleted!, trashed!]) {
    bucket.set(imageKey(filename), { bytes: PNG, etag: '', headers: { contentType: 'image/png' }, lastModified: 0 });
  }
  await make(first.store);
  await first.provider.update(changed!.filename, { addTags: ['changed'] });
  await first.provider.remove(deleted!.filename, { permanent: true });
  await first.provider.remove(trashed!.filename);
  bucket.delete(recordKey(removed!.filename));
  const [late] = await putRecords(objects, 50, 51);

  const second = await open({ trash: { days: 7 } });
  const expected = [changed!, late!, ...others].map(({ filename }) => filename);
  expect((await namesOf(second.provider)).sort()).toEqual(expected.sort());
  expect(await second.provider.list({ tags: ['changed'] })).toMatchObject([{ filename: changed!.filename }]);
  expect((await second.provider.getStatistics()).trashCount).toBe(1);
  // Changed, trashed, new, and the tombstone.
  expect(second.reads.records).toBe(4);
});

it.each<[what: string, bytes: (whole: Buffer, lines: string[]) => Buffer]>([
  ['cut off', (whole) => whole.subarray(0, whole.length / 2)],
  ['empty', () => Buffer.alloc(0)],
  ['no zstd', () => Buffer.from('hello')],
  ['with a bit that fell over', (whole) => Buffer.from(whole.map((byte, at) => (at === 40 ? byte ^ 1 : byte)))],
  ['that would fill the memory', () => zstdCompressSync(Buffer.alloc(64 * 1024 ** 2))],
  ['that says so little', (_, lines) => compressed([...lines, lines[1]!])],
  ['that lacks some', (_, lines) => compressed(lines.slice(0, -1))],
  [
    'of another store',
    (_, [head, ...lines]) => compressed([head!.replace(/"storeId":"[^"]*"/, '"storeId":"x"'), ...lines]),
  ],
  ['of another format', (_, [, ...lines]) => compressed(['{"format":"other"}', ...lines])],
  ['of nothing', (_, lines) => compressed(lines.map(() => 'null'))],
  ['with a text for a filename', (_, [head, ...lines]) => compressed([head!, ...lines.map(() => '{"filename":1}')])],
  ['of a million empty lines', () => zstdCompressSync(Buffer.from('\n'.repeat(1_000_000)))],
])('read every record where a snapshot is %s', async (_, damage) => {
  const { bucket, objects, open } = await world();
  const records = await putRecords(objects, 0, 20);
  const first = await open();
  await make(first.store);
  const [key] = snapshotsIn(bucket);
  const { bytes } = bucket.get(key!)!;
  bucket.get(key!)!.bytes = damage(bytes, linesOf(bucket, key!));
  bucket.get(key!)!.etag = '"not an md5"';
  const second = await open();
  expect((await namesOf(second.provider)).sort()).toEqual(records.map(({ filename }) => filename).sort());
  expect(second.reads.records).toBe(20);
  expect(second.warnings).toContainEqual(expect.objectContaining({ key, why: expect.any(String) }));
  // It is made again, and nothing says that it was not.
  await make(first.store);
  expect((await open()).reads.records).toBe(0);
});

it('believe no text that its ETag belies', async () => {
  const { bucket, objects, open } = await world();
  await putRecords(objects, 0, 20);
  const first = await open();
  await make(first.store);
  const [key] = snapshotsIn(bucket);
  const lines = linesOf(bucket, key!).map((line) => line.replaceAll('portrait', 'forgery'));
  bucket.get(key!)!.bytes = compressed(lines);
  bucket.get(key!)!.etag = '"not an md5"';
  const second = await open();
  expect(await second.provider.list({ query: 'forgery' })).toEqual([]);
  expect(await second.provider.list()).toEqual(await first.provider.list());
});

it('are used in a bucket whose ETags are no MD5s, once records were read there', async () => {
  const { bucket, objects, open } = await world({ pageSize: 10 });
  const records = await putRecords(objects, 0, 40);
  for (const object of bucket.values()) object.etag = [...object.etag].reverse().join('');
  const first = await open();
  await make(first.store);
  const second = await open();
  expect(await second.provider.list()).toHaveLength(records.length);
  // Those of the first page, several times until that is known.
  expect(second.reads.records).toBeLessThan(50);
});

it('lose a deleted prompt within a day, with what they replaced', async () => {
  const { bucket, objects, clock, open } = await world();
  await putRecords(objects, 0, 180);
  const { store, provider } = await open({ trash: { days: 1 } });
  const { filename } = await provider.save(PNG, {
    prompt: 'a secret fox',
    model: 'flux-schnell',
    timestamp: new Date('2026-01-04'),
  });
  const { filename: kept } = await provider.save(PNG, {
    prompt: 'a kept owl',
    model: 'flux-schnell',
    timestamp: new Date('2026-01-05'),
  });
  await make(store);
  const holds = (word: string) => [...copiesIn(bucket).values()].some((text) => text.includes(word));
  expect(holds('secret fox')).toBe(true);
  await provider.remove(filename, { permanent: true });
  clock.now += HOUR_MS;
  await make(store);
  expect(holds('secret fox')).toBe(false);
  expect(copiesIn(bucket).size).toBe(181);

  // In the trash it can be brought back; from the purge on it is gone, even where the daemon that takes the turn knows nothing.
  await provider.remove(kept);
  clock.now += 13 * HOUR_MS;
  await make(store);
  expect(holds('kept owl')).toBe(true);
  await provider.purge({ filenames: [kept] });
  clock.now += HOUR_MS;
  const other = await open();
  await make(other.store);
  expect(holds('kept owl')).toBe(false);
  expect(copiesIn(bucket).size).toBe(180);
});

it('lose what a catalog has forgotten to be deleted within a day, too', async () => {
  const { bucket, objects, clock, open } = await world();
  const [gone] = await putRecords(objects, 0, 30);
  const { store } = await open();
  await make(store);
  bucket.delete(recordKey(gone!.filename));
  clock.now += 13 * HOUR_MS;
  const other = await open();
  await make(other.store);
  expect(copiesIn(bucket).has(gone!.filename)).toBe(false);
});

it('take in new images when they are many, or have waited', async () => {
  const { bucket, objects, clock, open } = await world();
  await putRecords(objects, 0, 30);
  const { store } = await open();
  await make(store);
  const add = async (from: number, to: number) => {
    await putRecords(objects, from, to);
    await store.synchronizer.run();
    await make(store);
    return copiesIn(bucket).size;
  };
  expect(await add(30, 32)).toBe(30);
  expect(await add(32, 42)).toBe(42);
  expect(await add(42, 43)).toBe(42);
  clock.now += 13 * HOUR_MS;
  expect(await add(43, 44)).toBe(44);
  expect(snapshotsIn(bucket)).toHaveLength(1);
});

it('divide what has become large, and join what has become small', async () => {
  const { bucket, objects, open } = await world();
  const records = await putRecords(objects, 0, 140);
  const { store } = await open();
  await make(store);
  expect(snapshotsIn(bucket)).toHaveLength(1);
  records.push(...(await putRecords(objects, 140, 270)));
  await store.synchronizer.run();
  await make(store);
  expect(snapshotsIn(bucket)).toHaveLength(3);
  for (const { filename } of records.slice(10)) bucket.delete(recordKey(filename));
  await (await open()).provider.verify({ repair: true, forgetMissing: true });
  const other = await open();
  await make(other.store);
  expect(copiesIn(bucket).size).toBe(10);
  expect(snapshotsIn(bucket)).toHaveLength(1);
});

it('are put right where a turn was cut off between the new and the old', async () => {
  const { bucket, objects, open } = await world();
  await putRecords(objects, 0, 180);
  const { store } = await open();
  await make(store);
  const old = new Map(snapshotsIn(bucket).map((key) => [key, bucket.get(key)!]));
  await putRecords(objects, 180, 290);
  await store.synchronizer.run();
  await make(store);
  for (const [key, object] of old) bucket.set(key, object);
  expect((await namesOf((await open()).provider)).length).toBe(290);
  await make(store);
  expect(snapshotsIn(bucket).filter((key) => old.has(key))).toEqual([]);
  expect((await open()).reads.records).toBe(0);
  expect(copiesIn(bucket).size).toBe(290);
});

it('stay as they are where the index was emptied, or most records are gone', async () => {
  const { bucket, objects, open } = await world();
  const records = await putRecords(objects, 0, 30);
  const { store } = await open();
  await make(store);
  const before = snapshotsIn(bucket);
  const nothing = { ...store, catalog: { ...store.catalog, knownBetween: async () => [], isFilled: async () => true } };
  await make(nothing);
  expect(snapshotsIn(bucket)).toEqual(before);
  for (const { filename } of records.slice(2)) bucket.delete(recordKey(filename));
  await store.synchronizer.run();
  await expect(make(store)).rejects.toMatchObject({ reason: 'STORE_REPLACED' });
  expect(snapshotsIn(bucket)).toEqual(before);
});

it('are not made while saves wait', async () => {
  const { bucket, objects, open } = await world();
  await putRecords(objects, 0, 40);
  const { store } = await open();
  let looks = 0;
  store.saves = () => {
    looks += 1;
    // Whatever was written before this look was written while saves waited.
    if (looks <= 5) expect(snapshotsIn(bucket)).toEqual([]);
    return { inFlight: 1, waiting: looks <= 5 ? 1 : 0 };
  };
  await make(store);
  expect(looks).toBeGreaterThan(5);
  expect(snapshotsIn(bucket)).toHaveLength(1);
});

it('are made by one daemon of several, and by none that was just started', async () => {
  const { bucket, objects, open } = await world();
  await putRecords(objects, 0, 40);
  const daemons = [await open(), await open()];
  const turns = daemons.map(({ store }) => new SnapshotUpkeep(store, { firstAfterMs: 0 }));
  await new SnapshotUpkeep(daemons[0]!.store).work();
  expect(snapshotsIn(bucket)).toEqual([]);
  await Promise.all(turns.map((turn) => turn.work()));
  expect(snapshotsIn(bucket)).toHaveLength(1);
  expect(daemons.map(({ reads }) => reads.records).sort()).toEqual([40, 80]);
});

function compressed(lines: readonly string[]): Buffer {
  return zstdCompressSync(Buffer.from(`${lines.join('\n')}\n`));
}

/** The prefix is a promise to rules of buckets. */
it('lie where a rule of the bucket may expire them', () => {
  expect(SNAPSHOTS).toBe('outputs/metadata/snapshots/1/');
});
