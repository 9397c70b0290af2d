/** The comparison of a shared index with its bucket: stopped between each two steps while others write, or for good. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { fillInTurn } from '../../src/storage/bucket/index-mark.ts';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { type OpenStore, openStore } from '../../src/storage/bucket/open.ts';
import { payloadOf, putRecord, readRecord, replaceRecord } from '../../src/storage/bucket/record-object.ts';
import { makeSnapshots } from '../../src/storage/bucket/snapshots.ts';
import { schemaOf } from '../../src/storage/catalog/postgres/pool.ts';
import { imageKey, recordKey, shortId, withShortId } from '../../src/storage/domain/naming.ts';
import type { StorageProvider } from '../../src/storage/index.ts';
import { type MemoryBucket, memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { openObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { contextOf } from '../support/bucket.ts';
import { startPostgresProxy } from '../support/commit-proxy.ts';
import { pngOf } from '../support/images.ts';
import { ask, type PostgresServer, postgresAvailable, startPostgres } from '../support/postgres.ts';
import { requires } from '../support/requires.ts';
import { recordsIn } from './bucket-truth.ts';

const RECORDS = 'outputs/metadata/generations/';
const PNG = pngOf({ width: 8, height: 8 });
const SAVE = { prompt: 'a red fox', model: 'flux-schnell', timestamp: new Date('2024-09-27T14:15:22Z') };

/** Between two steps of a comparison, where the record of an image is concerned. */
const STEPS = ['listed', 'known', 'read', 'written'] as const;
type Step = (typeof STEPS)[number];

/** What the index has of the image before: its row, none, or that of an earlier revision. */
const ROWS = ['there', 'lacking', 'old'] as const;
const ACTIONS = ['save', 'update', 'delete', 'trash and restore'] as const;

requires('Postgres 15 or newer', postgresAvailable)('a comparison of a shared index', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.stop());

  async function folders() {
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    return (name: string) => join(folder, name);
  }

  /** A daemon whose comparisons are stopped, and another one over the same bucket and index. */
  async function openBoth() {
    const stateDirOf = await folders();
    const bucket: MemoryBucket = new Map();
    const objects = memoryObjects(bucket);
    const place = { index: await server.createDatabase(), lockWaitSeconds: 0, trash: { days: 7 } };
    const open = (objects: ObjectStore, name: string) => ({
      ...{ ...memoryStorage(objects), ...place },
      stateDir: stateDirOf(name),
    });
    const other = await openObjectStorage(open(objects, 'other'), contextOf());
    onTestFinished(() => other.close());
    const stopped = stoppable(objects);
    const walker = await openStore(open(stopped.objects, 'walker'), contextOf());
    onTestFinished(() => closeStore(walker));
    await walker.synchronizer.run();
    return { bucket, objects, other, stopped, walker };
  }

  it('leaves the index as the bucket is, whatever another daemon does between its steps', async () => {
    const { bucket, objects, other, stopped, walker } = await openBoth();
    for (const row of ROWS) {
      for (const step of STEPS) {
        for (const action of ACTIONS) {
          const filename = await imageWith(row, other, objects);
          let isStopped = false;
          stopped.at(filename, step, async () => {
            isStopped = true;
            await act(other, action, filename);
          });
          await walker.synchronizer.run();
          // What the index knows is not read.
          const isRead = row !== 'there' || step === 'listed' || step === 'written';
          expect(isStopped, `${row}, ${step}`).toBe(isRead);
          expect(await indexed(walker), `${row}, ${step}, ${action}`).toEqual(listed(bucket));
        }
      }
    }
    expect(await shown(other)).toEqual(await live(bucket));
    expect(await other.getStatistics()).toMatchObject({ count: (await shown(other)).length });
  });

  it('copies nothing from a snapshot that the index knows better', async () => {
    const { bucket, objects, other, stopped, walker } = await openBoth();
    for (const action of ['update', 'delete', 'trash and restore'] as const) {
      const filename = await imageWith('there', other, objects);
      expect((await makeSnapshots(walker, { size: 1 })).records).toBeGreaterThan(0);
      // As after a restore of the index, which asks the snapshots first.
      walker.synchronizer.noteIndex(false);
      stopped.at(filename, 'listed', () => act(other, action, filename));
      await walker.synchronizer.run();
      expect(await indexed(walker), action).toEqual(listed(bucket));
    }
    expect(await shown(other)).toEqual(await live(bucket));
  });

  it('is gone on with at once where the daemon that does it is cut off', async () => {
    const stateDirOf = await folders();
    const bucket: MemoryBucket = new Map();
    const url = await server.createDatabase();
    await using proxy = await startPostgresProxy(url);
    const first = await openObjectStorage(
      { ...memoryStorage(memoryObjects(bucket)), index: url, stateDir: stateDirOf('first') },
      contextOf(),
    );
    for (let day = 1; day <= 9; day += 1) {
      await first.save(PNG, { ...SAVE, timestamp: new Date(`2024-09-0${day}T00:00:00Z`) });
    }
    const filenames = (await shown(first)).map(([filename]) => filename);
    await first.close();
    await ask(url, `DROP SCHEMA ${schemaOf(first.storeId)} CASCADE`);

    const [reached, held] = [Promise.withResolvers<void>(), Promise.withResolvers<never>()];
    const pages = memoryObjects(bucket, { pageSize: 2 });
    const dying: ObjectStore = {
      ...pages,
      async list(prefix, after) {
        if (prefix !== RECORDS || after === undefined || !after.includes('2024-09-06'))
          return pages.list(prefix, after);
        reached.resolve();
        return held.promise;
      },
    };
    const starts: (string | undefined)[] = [];
    const watched: ObjectStore = {
      ...pages,
      list(prefix, after) {
        if (prefix === RECORDS) starts.push(after);
        return pages.list(prefix, after);
      },
    };
    const options = { ...memoryStorage(pages), lockWaitSeconds: 0 };
    const one = await openStore(
      { ...options, objects: dying, index: proxy.url, stateDir: stateDirOf('one') },
      contextOf(),
    );
    const other = await openStore(
      { ...options, objects: watched, index: url, stateDir: stateDirOf('two') },
      contextOf(),
    );
    onTestFinished(() => closeStore(other));
    const filling = fillInTurn(one.index!, one.synchronizer).catch(() => {});
    await reached.promise;
    await fillInTurn(other.index!, other.synchronizer);
    expect(starts).toEqual([]);
    // The page before is noted behind this one.
    await vi.waitUntil(async () => (await other.index!.walkPosition())?.upTo.includes('2024-09-06'));
    proxy.break();
    await vi.waitUntil(async () => {
      await fillInTurn(other.index!, other.synchronizer);
      return other.index!.isFilled();
    });
    expect(starts[0]).toContain('2024-09-06');
    const all = await other.catalog.page({ order: 'newest' }, { limit: 100, maxBytes: 1e6 });
    expect(all.records.map(({ filename }) => filename)).toEqual(filenames);
    held.reject(new Error('cut off'));
    await filling;
    await closeStore(one);
  });
});

/** The daemon stops once at that step of a comparison, and does this meanwhile. */
function stoppable(given: ObjectStore) {
  let stop: { key: string; step: Step; work: () => Promise<void> } | undefined;
  let wasListed = false;
  const reach = async (step: Step, key?: string) => {
    if (stop?.step !== step || (key !== undefined && key !== stop.key)) return;
    const { work } = stop;
    stop = undefined;
    await work();
  };
  const objects: ObjectStore = {
    ...given,
    async list(prefix, after) {
      if (prefix !== RECORDS) return given.list(prefix, after);
      // Of two pages: behind the first one all of it is written.
      if (wasListed) await reach('written');
      const page = await given.list(prefix, after);
      if (!wasListed) await reach('listed');
      wasListed = !wasListed;
      return wasListed ? { ...page, more: page.objects.length > 0 } : page;
    },
    async get(key, range) {
      await reach('known', key);
      const object = await given.get(key, range);
      await reach('read', key);
      return object;
    },
  };
  return {
    objects,
    at(filename: string, step: Step, work: () => Promise<void>) {
      wasListed = false;
      stop = { key: recordKey(filename), step, work };
    },
  };
}

/** Saves an image, and leaves of it in the index what another daemon leaves whose rows wait. */
async function imageWith(row: (typeof ROWS)[number], other: StorageProvider, objects: ObjectStore): Promise<string> {
  const { filename } = await other.save(PNG, SAVE);
  const found = await readRecord(objects, filename);
  if (found.kind !== 'live' || row === 'there') return filename;
  if (row === 'old') {
    await replaceRecord(objects, { ...found.record, revision: 1, category: 'elsewhere' }, found.etag);
    return filename;
  }
  const unknown = withShortId(filename, shortId());
  await objects.putNew(imageKey(unknown), payloadOf('as good as an image'), { contentType: 'image/png' });
  await putRecord(objects, { ...found.record, filename: unknown, key: imageKey(unknown), nonce: unknown });
  return unknown;
}

async function act(other: StorageProvider, action: (typeof ACTIONS)[number], filename: string): Promise<void> {
  if (action === 'save') await other.save(PNG, SAVE);
  else if (action === 'update') await other.update(filename, { pinned: true, addTags: ['late'] });
  else await other.delete(filename, { permanent: action === 'delete' });
  if (action === 'trash and restore') await other.restore(filename);
}

async function closeStore({ catalog, lock, closing }: OpenStore): Promise<void> {
  closing.abort();
  await catalog.close(false);
  lock.release();
}

/** The ETags that the index has, by key. */
async function indexed({ catalog }: OpenStore): Promise<Map<string, string>> {
  const known = await catalog.knownBetween({ limit: 10_000 });
  return new Map(known.map(({ filename, etag }) => [recordKey(filename), etag]));
}

function listed(bucket: MemoryBucket): Map<string, string> {
  const records = [...bucket].filter(([key]) => key.startsWith(RECORDS));
  return new Map(records.map(([key, { etag }]): [string, string] => [key, etag]).sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function shown(provider: StorageProvider): Promise<[filename: string, pinned: boolean][]> {
  return (await provider.list()).map(({ filename, pinned }) => [filename, pinned]);
}

/** The images of the bucket as `shown` has them. */
async function live(bucket: MemoryBucket): Promise<[filename: string, pinned: boolean][]> {
  const records = await recordsIn(bucket);
  const images = records.flatMap((found) => (found.kind === 'live' ? [found.record] : []));
  return images.sort((a, b) => (a.filename < b.filename ? 1 : -1)).map(({ filename, pinned }) => [filename, pinned]);
}
