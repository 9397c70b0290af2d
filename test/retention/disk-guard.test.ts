/** Limits of a store: what 16 savers at once may write, what gives way, and what a refused save is told. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { DiskLimits } from '../../src/storage/domain/config.ts';
import type { StorageError } from '../../src/storage/domain/errors.ts';
import type { SaveOptions, Storage } from '../../src/storage/index.ts';
import { createGuard, type GuardedStore } from '../../src/storage/retention/disk-guard.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { pngOf } from '../support/images.ts';
import { canMountTmpfs, openTmpfs } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MIB = 2 ** 20;
const SAVERS = 16;
const LARGE = pngOf({ width: 64, height: 64, sizeBytes: 100_000 });
const SIZE = LARGE.length;

interface Opened {
  storage: Storage;
  /** Turns the clock. */
  pass(ms: number): void;
}

async function open(basePath: string, limits: DiskLimits & object): Promise<Opened> {
  let now = Date.UTC(2026, 10, 30, 12);
  const storage = await openStorage({ providers: { local: { basePath, ...limits } } }, { now: () => now });
  onTestFinished(() => storage.close());
  return {
    storage,
    pass(ms) {
      now += ms;
    },
  };
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** In chunks with pauses, as over a network. */
async function* slowly(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 16_384) {
    yield bytes.subarray(at, at + 16_384);
    await setTimeout(Math.random() * 3);
  }
}

function save(storage: Storage, options: SaveOptions = {}, bytes: Uint8Array = LARGE) {
  return storage.save(slowly(bytes), { prompt: '', model: 'm' }, options);
}

async function bytesOf(storage: Storage): Promise<number> {
  const [{ bytes, trashBytes } = { bytes: 0, trashBytes: 0 }] = await storage.getStatistics();
  return bytes + trashBytes;
}

/** Saves by so many at once until each is refused; returns why, and the most bytes that the store had meanwhile. */
async function fill(storage: Storage, options: SaveOptions, rounds = Number.POSITIVE_INFINITY) {
  const refusals: StorageError[] = [];
  let most = 0;
  const saver = async () => {
    for (let round = 0; round < rounds; round += 1) {
      try {
        await save(storage, options);
      } catch (error) {
        refusals.push(error as StorageError);
        return;
      }
      most = Math.max(most, await bytesOf(storage));
    }
  };
  await Promise.all(Array.from({ length: SAVERS }, saver));
  return { refusals, most };
}

describe.each<[string, SaveOptions]>([
  ['declare the size', { size: SIZE }],
  ['do not declare the size', {}],
])('savers that %s', (_, options) => {
  it('fill a store up to its limit and never beyond it', async () => {
    const maxStoreBytes = 40 * SIZE + SIZE / 2;
    const { storage } = await open(await temporaryFolder(), { maxStoreBytes });
    const { refusals, most } = await fill(storage, options);
    expect(most).toBeLessThanOrEqual(maxStoreBytes);
    // Those that do not declare it may stand in each other's way.
    expect(most).toBeGreaterThanOrEqual((options.size ? 40 : 40 - SAVERS) * SIZE);
    expect(refusals).toHaveLength(SAVERS);
    for (const { reason, message, details } of refusals) {
      expect(reason).toBe('DISK_FULL');
      expect(details.limit_bytes).toBe(String(maxStoreBytes));
      expect(Number(details.would_be_bytes)).toBeGreaterThan(maxStoreBytes);
      expect(message).toContain('maxStoreBytes');
      expect(message).toContain(Number(details.would_be_bytes).toLocaleString('en'));
    }
    // A full store still reads and deletes, and takes what then fits.
    const [first] = await storage.list();
    expect((await storage.get(first!.filename)).item.size).toBe(SIZE);
    expect(await storage.cleanup({ keepCount: 20, permanent: true })).toMatchObject({ keptPinned: 0 });
    await save(storage, options);
  });

  it('push the oldest out where that is asked for', async () => {
    const maxStoreBytes = 20 * SIZE;
    const { storage, pass } = await open(await temporaryFolder(), { maxStoreBytes, onFull: 'evict' });
    const pinned = await save(storage, { ...options, pinned: true });
    for (let round = 0; round < 3; round += 1) {
      pass(2 * HOUR);
      const { refusals, most } = await fill(storage, options, 1);
      expect(refusals).toEqual([]);
      expect(most).toBeLessThanOrEqual(maxStoreBytes);
    }
    const left = await storage.list({ order: 'oldest' });
    expect(left[0]!.filename).toBe(pinned.filename);
    expect(left).toHaveLength(20);
    // What came within the hour stays: the newcomer is refused.
    await fill(storage, options, 1);
    const { refusals } = await fill(storage, options, 1);
    expect(refusals.length).toBeGreaterThan(0);
    expect((await storage.get(pinned.filename)).item.pinned).toBe(true);
  });
});

it.each(['refuse', 'evict'] as const)(
  'the trash gives way first, the oldest of it, with onFull: %s',
  async (onFull) => {
    const { storage, pass } = await open(await temporaryFolder(), { maxStoreBytes: 4 * SIZE, onFull });
    const saved = [];
    for (let at = 0; at < 4; at += 1) {
      pass(MINUTE);
      saved.push(await save(storage));
    }
    for (const { filename } of [saved[3]!, saved[0]!]) {
      pass(MINUTE);
      await storage.delete(filename);
    }
    pass(2 * HOUR);
    await save(storage);
    expect((await storage.listTrash()).map(({ filename }) => filename)).toEqual([saved[0]!.filename]);
    await save(storage);
    expect(await storage.listTrash()).toEqual([]);
    expect(await storage.list()).toHaveLength(4);
    if (onFull === 'refuse') await expect(save(storage)).rejects.toMatchObject({ reason: 'DISK_FULL' });
    else await save(storage);
    const left = (await storage.list({ order: 'oldest' })).map(({ filename }) => filename);
    expect(left).toHaveLength(4);
    expect(left.includes(saved[1]!.filename)).toBe(onFull === 'refuse');
  },
);

it('nothing is evicted for a save that would be refused then', async () => {
  const { storage, pass } = await open(await temporaryFolder(), { maxStoreBytes: 4 * SIZE, onFull: 'evict' });
  await save(storage, { pinned: true });
  await save(storage, { pinned: true });
  await save(storage);
  pass(2 * HOUR);
  await save(storage);
  const large = pngOf({ width: 64, height: 64, sizeBytes: 2 * SIZE });
  await expect(save(storage, { size: 2 * SIZE }, large)).rejects.toMatchObject({ reason: 'DISK_FULL' });
  expect(await storage.list()).toHaveLength(4);
  await save(storage);
  expect(await storage.list()).toHaveLength(4);
});

describe('while a save commits', () => {
  const sizes = { bytes: 9_000, trashBytes: 0 };
  const catalog = { statistics: async () => sizes, pageSizes: async () => [], dueTrash: async () => [] };
  const store = {
    catalog: async () => catalog,
    freeBytes: async () => 2 ** 40,
  } as unknown as GuardedStore;

  it('what can not fit is refused at once, and what fits goes on', async () => {
    const guard = createGuard({ maxStoreBytes: 10_000 }, store)!;
    (await guard.reserve(500)).committing();
    await expect(guard.reserve(5_000)).rejects.toMatchObject({ reason: 'DISK_FULL' });
    expect(await guard.reserve(10)).toBeDefined();
  });

  it('what fits or not by how it ends waits for that', async () => {
    const guard = createGuard({ maxStoreBytes: 10_000 }, store)!;
    const first = await guard.reserve(500);
    first.committing();
    const [other, third] = [guard.reserve(800), guard.reserve(900)];
    await setTimeout(20);
    first.end(false);
    (await other).end(false);
    expect(await third).toBeDefined();
  });
});

it('a save that declares too much is refused before a byte of it is read', async () => {
  const { storage } = await open(await temporaryFolder(), { maxStoreBytes: SIZE - 1 });
  let isRead = false;
  const source = (async function* () {
    isRead = true;
    yield LARGE;
  })();
  const saving = storage.save(source, { prompt: '', model: 'm' }, { size: SIZE });
  await expect(saving).rejects.toMatchObject({ reason: 'DISK_FULL' });
  expect(isRead).toBe(false);
});

it('a save that was sent before is answered as before, and takes no room', async () => {
  const { storage } = await open(await temporaryFolder(), { maxStoreBytes: 2 * SIZE });
  const first = await save(storage, { idempotencyKey: 'a' });
  for (let round = 0; round < 3; round += 1) {
    expect(await save(storage, { idempotencyKey: 'a' })).toMatchObject({ filename: first.filename, replayed: true });
  }
  await save(storage);
  await expect(save(storage)).rejects.toMatchObject({ reason: 'DISK_FULL' });
});

requires('root, to mount a tmpfs', canMountTmpfs)('a small disk', () => {
  it('keeps free what must stay free, whatever 16 savers send', async () => {
    await using disk = await openTmpfs('size=64m');
    const limits = { minFreeBytes: 40 * MIB };
    const { storage } = await open(join(disk.path, 'outputs'), limits);
    const { refusals } = await fill(storage, {});
    const [statistics] = await storage.getStatistics();
    // Catalog and records grow, too.
    expect(statistics!.freeBytes).toBeGreaterThan(limits.minFreeBytes - 2 * MIB);
    expect(statistics!.count).toBeGreaterThan(0);
    expect(refusals.map(({ reason }) => reason)).toEqual(Array(SAVERS).fill('DISK_FULL'));
    expect(refusals[0]!.details.limit_bytes).toBe(String(limits.minFreeBytes));
    await storage.close();
  });
});
