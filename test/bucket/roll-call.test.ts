/** Cleanups over an index that several daemons share: they begin once it has all that any daemon acknowledged. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { RECORDS } from '../../src/storage/bucket/record-object.ts';
import { recordKey } from '../../src/storage/domain/naming.ts';
import type { StorageProvider } from '../../src/storage/index.ts';
import { type MemoryBucket, memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { openObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { contextOf } from '../support/bucket.ts';
import { type CommitProxy, startPostgresProxy } from '../support/commit-proxy.ts';
import { pngOf } from '../support/images.ts';
import { type PostgresServer, postgresAvailable, startPostgres } from '../support/postgres.ts';
import { requires } from '../support/requires.ts';

const PNG = pngOf({ width: 8, height: 8 });

requires('Postgres 15 or newer', postgresAvailable)('a cleanup over a shared index', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.stop());

  interface Fleet {
    /** Its connections to Postgres can be cut. */
    one: StorageProvider;
    proxy: CommitProxy;
    two: StorageProvider;
    /** How often `two` listed records. */
    listings: () => number;
    /** Awaited before `two` replaces that record. */
    before: (filename: string, work: () => Promise<unknown>) => void;
    /** Saves that many images, each newer than the one before. */
    save: (count: number) => Promise<string[]>;
  }

  async function openFleet(): Promise<Fleet> {
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
    const bucket: MemoryBucket = new Map();
    const objects = memoryObjects(bucket);
    const url = await server.createDatabase();
    const proxy = await startPostgresProxy(url);
    const open = (name: string, index: string, given: ObjectStore) => {
      const options = { ...memoryStorage(given), index, stateDir: join(folder, name), lockWaitSeconds: 0 };
      return openObjectStorage(options, contextOf());
    };
    let listings = 0;
    const waiting = new Map<string, () => Promise<unknown>>();
    const watched: ObjectStore = {
      ...objects,
      async list(prefix, after) {
        if (prefix === RECORDS) listings += 1;
        return objects.list(prefix, after);
      },
      async replaceIf(key, ...rest) {
        const work = waiting.get(key);
        waiting.delete(key);
        await work?.();
        return objects.replaceIf(key, ...rest);
      },
    };
    const one = await open('one', proxy.url, objects);
    const two = await open('two', url, watched);
    onTestFinished(async () => {
      await one.close();
      await two.close();
      await proxy[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    });
    return {
      ...{ one, two, proxy },
      listings: () => listings,
      before: (filename, work) => waiting.set(recordKey(filename), work),
      async save(count) {
        const filenames: string[] = [];
        for (let day = 1; day <= count; day += 1) {
          const timestamp = new Date(Date.UTC(2024, 8, day));
          filenames.push((await one.save(PNG, { prompt: 'a fox', model: 'flux', timestamp })).filename);
        }
        await vi.waitFor(async () => expect((await namesOf(two)).length).toBe(count), { timeout: 30_000 });
        return filenames;
      },
    };
  }

  const namesOf = async (provider: StorageProvider) => (await provider.list()).map(({ filename }) => filename);

  it('lists no bucket where all daemons say that their rows are written', async () => {
    const { one, two, listings, save } = await openFleet();
    const [oldest, ...kept] = await save(4);
    const before = listings();
    expect(await two.cleanup({ keepCount: 3 })).toMatchObject({ deletedCount: 1, filenames: [oldest] });
    expect(listings()).toBe(before);
    await vi.waitFor(async () => expect(await namesOf(one)).toEqual(kept.toReversed()));
  });

  it('compares the bucket first where a daemon cannot write its rows, and counts what is there', async () => {
    const { one, two, proxy, listings, save } = await openFleet();
    const [oldest, older, newer, newest] = (await save(4)) as [string, string, string, string];
    proxy.break();
    expect(await one.delete(newest)).toBe(true);
    await one.update(oldest, { pinned: true });
    const before = listings();
    const { plan, filenames } = await two.cleanup({ selection: { keepCount: 1 }, dryRun: true });
    expect(filenames).toEqual([older]);
    expect(listings()).toBeGreaterThan(before);
    expect(await two.cleanup({ selection: { keepCount: 1, plan: plan! } })).toMatchObject({ filenames: [older] });
    expect(await namesOf(two)).toEqual([newer, oldest]);

    // Once it can again, nobody compares any more.
    proxy.mend();
    await vi.waitFor(async () => expect(await namesOf(one)).toEqual([newer, oldest]), { timeout: 30_000 });
    await vi.waitFor(() => expect(one.health).toEqual({ serving: true }), { timeout: 30_000 });
    const after = listings();
    await two.cleanup({ keepCount: 1 });
    expect(listings()).toBe(after);
  });

  it('never passes over a pin that comes while it deletes, and that the index does not have', async () => {
    const { one, two, proxy, before, save } = await openFleet();
    const [pinned, deleted, kept] = (await save(3)) as [string, string, string];
    before(pinned, async () => {
      proxy.break();
      await one.update(pinned, { pinned: true });
    });
    expect(await two.cleanup({ keepCount: 1 })).toMatchObject({ deletedCount: 1, filenames: [deleted] });
    expect(await two.get(pinned)).toMatchObject({ item: { filename: pinned, pinned: true } });
    expect(await namesOf(two)).toEqual([kept, pinned]);
  });
});
