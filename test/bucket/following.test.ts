/** How a daemon follows what others write to its bucket: the last days often, all others seldom. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { type OpenStore, openStore } from '../../src/storage/bucket/open.ts';
import { startUpkeep } from '../../src/storage/bucket/upkeep.ts';
import type { BucketSettings } from '../../src/storage/domain/config.ts';
import { imageKey, recordKey } from '../../src/storage/domain/naming.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { ObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { contextOf } from '../support/bucket.ts';
import { pngOf } from '../support/images.ts';

const PNG = pngOf({ width: 8, height: 8 });
const DAY_MS = 24 * 60 * 60 * 1000;
const RECORDS = 'outputs/metadata/generations/';

interface Daemon {
  store: OpenStore;
  provider: ObjectStorage;
  /** The first key that each comparison asked for, or the prefix. */
  began: string[];
  /** The records that were listed. */
  listed: string[];
}

let bucket: MemoryBucket;
let folder: string;
let now: number;
let daemons: Daemon[];

beforeEach(async () => {
  bucket = new Map();
  folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  now = Date.UTC(2026, 10, 30, 12);
  daemons = [];
});
afterEach(async () => {
  for (const { provider } of daemons) await provider.close();
  await rm(folder, { recursive: true });
});

/** Without upkeep where no settings are given: it compares when it is told to. */
async function open(settings?: BucketSettings): Promise<Daemon> {
  const [began, listed]: string[][] = [[], []];
  // Small pages, as a large bucket has many.
  const objects = memoryObjects(bucket, { pageSize: 3, now: () => now });
  const list: ObjectStore['list'] = async (prefix, after) => {
    const page = await objects.list(prefix, after);
    if (prefix === RECORDS) {
      if (after === undefined || !bucket.has(after)) began!.push(after ?? prefix);
      listed!.push(...page.objects.map(({ key }) => key));
    }
    return page;
  };
  const options = { objects: { ...objects, list }, stateDir: join(folder, `${daemons.length}`), shared: true };
  const store = await openStore(options, contextOf({ now: () => now }));
  await store.synchronizer.run();
  const stop = settings === undefined ? async () => {} : startUpkeep(store, settings);
  const daemon = { store, provider: new ObjectStorage(store, memoryStorage(objects), stop), began: [], listed: [] };
  daemons.push(daemon);
  return Object.assign(daemon, { began, listed });
}

const save = async ({ provider }: Daemon, timestamp: number | Date = now) =>
  (await provider.save(PNG, { prompt: 'a red fox', model: 'sdxl', timestamp: new Date(timestamp) })).filename;
const namesIn = async ({ provider }: Daemon) => (await provider.list()).map(({ filename }) => filename).sort();

it('lists an image that another daemon made today without asking for older ones', async () => {
  const neighbour = await open();
  const old = await Promise.all(Array.from({ length: 10 }, (_, day) => save(neighbour, now - (day + 3) * DAY_MS)));
  const follower = await open({ syncSeconds: 0.02 });
  await expect.poll(() => namesIn(follower)).toHaveLength(10);
  await follower.store.synchronizer.run();
  const seen = follower.listed.length;
  const today = await save(neighbour);
  await expect.poll(() => namesIn(follower)).toEqual([...old, today].sort());
  await neighbour.provider.delete(today);
  await expect.poll(() => namesIn(follower)).toEqual([...old].sort());
  expect(new Set(follower.listed.slice(seen))).toEqual(new Set([recordKey(today)]));
});

it('lists what another daemon made, changed or deleted under an old date after a comparison of all', async () => {
  const neighbour = await open();
  const [kept, deleted, tagged] = [2, 3, 4].map((days) => now - days * DAY_MS);
  const files = await Promise.all([save(neighbour, kept), save(neighbour, deleted), save(neighbour, tagged)]);
  const follower = await open();
  await neighbour.provider.delete(files[1]!);
  await neighbour.provider.update(files[2]!, { addTags: ['keeper'] });
  const late = await save(neighbour, now - 400 * DAY_MS);
  const tagsOf = async () => (await follower.provider.list({ tags: ['keeper'] })).length;

  await follower.store.synchronizer.follow();
  expect(await namesIn(follower)).toEqual(files.sort());
  expect(await tagsOf()).toBe(0);
  await follower.store.synchronizer.run();
  expect(await namesIn(follower)).toEqual((await namesIn(neighbour)).sort());
  expect(await namesIn(follower)).toContain(late);
  expect(await tagsOf()).toBe(1);
});

it('compares all as often as it is told, also while what is recent is compared in between', async () => {
  const neighbour = await open();
  const follower = await open({ syncSeconds: 0.02, fullSyncMinutes: 0.002 });
  const late = await save(neighbour, now - 400 * DAY_MS);
  await expect.poll(() => namesIn(follower)).toEqual([late]);
});

it('compares all no more often than what is recent', async () => {
  const follower = await open({ syncSeconds: 0.02, fullSyncMinutes: 0.0001 });
  const begun = follower.began.length;
  await expect.poll(() => follower.began.length).toBeGreaterThan(begun + 3);
  expect(new Set(follower.began)).toEqual(new Set([RECORDS]));
});

describe('the days that are recent', () => {
  const yesterday = (time: string) => Date.parse(`${time}Z`) - DAY_MS;
  it.each([
    ['just after midnight', '2026-12-01T00:00:00'],
    ['just before midnight', '2026-12-01T23:59:59.999'],
    ['on the first of a year', '2027-01-01T00:00:01'],
    ['on the last of February', '2028-02-29T12:00:00'],
    ['on the day after', '2028-03-01T12:00:00'],
    // In Berlin, 2 o'clock is 3 o'clock then; in Auckland, it is the day after.
    ['when clocks are put forward', '2026-03-29T01:00:00'],
  ])('are today, yesterday and those to come, by UTC: %s', async (_, time) => {
    now = Date.parse(`${time}Z`);
    const neighbour = await open();
    const follower = await open();
    const start = new Date(now).setUTCHours(0, 0, 0, 0) - DAY_MS;
    const recent = await Promise.all(
      [now, start, yesterday(time), now + DAY_MS, now + 400 * DAY_MS].map((at) => save(neighbour, at)),
    );
    await save(neighbour, start - 1000);
    await follower.store.synchronizer.follow();
    expect(await namesIn(follower)).toEqual(recent.sort());
  });

  it('begin before the last comparison: what was changed just before midnight is found after it', async () => {
    now = Date.parse('2026-12-31T23:59:50Z');
    const neighbour = await open();
    const yesterdays = await save(neighbour, now - DAY_MS);
    const follower = await open();
    await neighbour.provider.delete(yesterdays);
    now += 20_000;
    await follower.store.synchronizer.follow();
    expect(await namesIn(follower)).toEqual([]);
    await follower.store.synchronizer.follow();
    expect(follower.began.slice(-2)).toEqual([`${RECORDS}2026-12-30`, `${RECORDS}2026-12-31`]);
  });

  it('follow a clock that was wrong and is put back', async () => {
    const neighbour = await open();
    const follower = await open();
    now += 365 * DAY_MS;
    await follower.store.synchronizer.follow();
    await follower.store.synchronizer.follow();
    now -= 365 * DAY_MS;
    const today = await save(neighbour);
    await follower.store.synchronizer.follow();
    expect(await namesIn(follower)).toEqual([today]);
  });
});

describe('a comparison of what is recent', () => {
  it('does not count as one of all', async () => {
    const neighbour = await open();
    await save(neighbour);
    const follower = await open();
    const { catalog, synchronizer } = follower.store;
    const { comparedAt } = await catalog.notes();
    now += 24 * DAY_MS;
    expect(await synchronizer.follow()).toBe(false);
    expect((await catalog.notes()).comparedAt).toBe(comparedAt);
    expect(synchronizer.keepsMissing).toBe(true);
    // From now on a record that is gone may have been deleted by a daemon: only a comparison of all may judge.
    now += 2 * DAY_MS;
    expect(synchronizer.keepsMissing).toBe(false);
    const begun = follower.began.length;
    bucket.clear();
    expect(await synchronizer.follow()).toBe(false);
    expect(follower.began).toHaveLength(begun);
    expect(await namesIn(follower)).toHaveLength(1);
  });

  it('does not fill a catalog that was never compared with all', async () => {
    const neighbour = await open();
    await save(neighbour);
    const options = { objects: memoryObjects(bucket), stateDir: join(folder, 'new'), shared: true };
    const store = await openStore(options, contextOf({ now: () => now }));
    const provider = new ObjectStorage(store, memoryStorage(options.objects), async () => {});
    expect(await store.synchronizer.follow()).toBe(false);
    expect(await store.catalog.isFilled()).toBe(false);
    await expect(provider.list()).rejects.toMatchObject({ reason: 'CATALOG_REBUILDING' });
    await provider.close();
  });

  it('leaves it to one of all to say that most images are missing, which follows at once', async () => {
    const neighbour = await open();
    const saved = [await save(neighbour), await save(neighbour, now - 9 * DAY_MS), await save(neighbour, now)];
    const follower = await open({ syncSeconds: 0.02 });
    for (const filename of saved.slice(0, 2)) {
      bucket.delete(recordKey(filename));
      bucket.delete(imageKey(filename));
    }
    await expect.poll(() => follower.provider.health).toMatchObject({ serving: false, why: /most images/ });
    expect(await namesIn(follower)).toEqual(saved.sort());
  });

  it('counts a record that is gone as missing, not as deleted, and no others', async () => {
    const neighbour = await open();
    const [gone, old] = [await save(neighbour), await save(neighbour, now - 9 * DAY_MS)];
    const follower = await open();
    bucket.delete(recordKey(gone));
    bucket.delete(recordKey(old));
    expect(await follower.store.synchronizer.follow()).toBe(true);
    expect(follower.provider.health).toEqual({ serving: true });
    expect(await namesIn(follower)).toEqual([gone, old].sort());
    expect(await follower.store.synchronizer.follow()).toBe(false);
  });
});

it('cleans up by all that is there, of whatever date, and spares what another daemon has pinned since', async () => {
  const neighbour = await open();
  const old = await Promise.all([3, 4, 5].map((days) => save(neighbour, now - days * DAY_MS)));
  const follower = await open({ syncSeconds: 3600 });
  await neighbour.provider.update(old[2]!, { pinned: true });
  await neighbour.provider.delete(old[0]!);
  const late = await save(neighbour, now - 100 * DAY_MS);
  expect(await follower.provider.cleanup({ keepCount: 0, dryRun: true })).toMatchObject({ deletedCount: 2 });
  expect(await follower.provider.cleanup({ keepCount: 1 })).toMatchObject({ deletedCount: 1 });
  expect(await namesIn(follower)).toEqual([old[1], old[2]].sort());
  expect(await namesIn(follower)).not.toContain(late);
});
