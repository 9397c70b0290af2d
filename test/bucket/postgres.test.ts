/** Stores in a bucket whose index is in Postgres: the conformance suite, and several daemons through what befalls an index. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { openStore } from '../../src/storage/bucket/open.ts';
import { makeSnapshots } from '../../src/storage/bucket/snapshots.ts';
import { examineServer } from '../../src/storage/catalog/postgres/examination.ts';
import { schemaOf } from '../../src/storage/catalog/postgres/pool.ts';
import type { StorageProvider } from '../../src/storage/index.ts';
import { type MemoryBucket, memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import {
  ObjectStorage,
  type ObjectStorageOptions,
  openObjectStorage,
} from '../../src/storage/providers/object-storage.ts';
import { describeProvider, openMain } from '../providers/provider-suite.ts';
import type { OpenOptions } from '../providers/tested-provider.ts';
import { contextOf, strayObjects } from '../support/bucket.ts';
import { CUT_MOMENTS, type CutMoment, startPostgresProxy } from '../support/commit-proxy.ts';
import { pngOf } from '../support/images.ts';
import { verified } from '../support/maintained-store.ts';
import { ask, type PostgresServer, postgresAvailable, startPostgres } from '../support/postgres.ts';
import { requires } from '../support/requires.ts';
import { full } from '../support/scale.ts';
import { copiesIn, counting, putRecords } from '../support/snapshots.ts';

const WAITING = { timeout: 60_000, interval: 100 };

requires('Postgres 15 or newer', postgresAvailable)('a bucket with an index in Postgres', () => {
  let server: PostgresServer;
  let url: string;

  beforeAll(async () => {
    server = await startPostgres();
    url = await server.createDatabase();
  });
  afterAll(() => server?.stop());

  const PNG = pngOf({ width: 8, height: 8 });
  const SAVE = { prompt: 'a red fox', model: 'flux-schnell', timestamp: new Date('2024-09-27T14:15:22Z') };
  const namesOf = async (provider: StorageProvider, query = '') =>
    (await provider.list({ query })).map(({ filename }) => filename);

  /** Waits until a list is answered: that, and never a part, has to be all images. */
  async function untilListed(provider: StorageProvider, filenames: readonly string[]) {
    const listed = await vi.waitUntil(
      () =>
        namesOf(provider).catch((error) => {
          expect(error).toMatchObject({ reason: 'INDEX_UNAVAILABLE' });
          return undefined;
        }),
      WAITING,
    );
    expect(listed.toSorted()).toEqual(filenames.toSorted());
  }

  /** Providers over one bucket, each with a state folder of its own; all are closed and removed in the end. */
  async function openSeveral(count: number, bucket: MemoryBucket = new Map()) {
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
    const opened: StorageProvider[] = [];
    const open = async (number: number, given: Partial<ObjectStorageOptions> = {}, context = {}) => {
      const options = {
        ...memoryStorage(memoryObjects(bucket)),
        stateDir: join(folder, `${number}`),
        lockWaitSeconds: 0,
      };
      const provider = await openObjectStorage({ ...options, index: url, ...given }, contextOf(context));
      opened.push(provider);
      return provider;
    };
    const providers: StorageProvider[] = [];
    for (let number = 0; number < count; number += 1) providers.push(await open(number));
    onTestFinished(async () => {
      for (const provider of opened) await provider.close();
      await rm(folder, { recursive: true });
    });
    return { providers, open, bucket, folder };
  }

  if (full)
    describeProvider('memory', {
      open: (options: OpenOptions = {}) => {
        const bucket: MemoryBucket = new Map();
        return openMain({
          settings: (stateDir) => ({ type: 'memory', bucket, stateDir, index: url }),
          leftovers: async (_, stateDir) => [
            ...strayObjects(bucket),
            ...(await readdir(join(stateDir, 'spool', 'main'))),
          ],
          ...options,
        });
      },
      storageType: 'memory',
      hasTrash: true,
      plansLast: true,
      urlOf: (key) => new RegExp(`^memory:///${key}$`),
    });

  it('lists, finds, counts and deletes through any daemon what another has saved', async () => {
    const {
      providers: [one, two, three],
    } = await openSeveral(3);
    const { filename } = await one!.save(PNG, SAVE);
    for (const provider of [two!, three!]) expect(await namesOf(provider, 'fox')).toEqual([filename]);
    await two!.update(filename, { addTags: ['kept'], pinned: true });
    expect((await three!.list({ tags: ['kept'] }))[0]).toMatchObject({ filename, pinned: true });
    expect(await one!.getStatistics()).toMatchObject({ count: 1, pinnedCount: 1 });
    expect(await three!.delete(filename)).toBe(true);
    for (const provider of [one!, two!]) {
      expect(await namesOf(provider)).toEqual([]);
      expect(await provider.getStatistics()).toMatchObject({ count: 0, bytes: 0 });
    }
  });

  it('gives the first result to a repeated save through another daemon, which sends no time', async () => {
    const {
      providers: [one, two],
    } = await openSeveral(2);
    const undated = { prompt: 'an owl', model: 'flux-schnell' };
    const first = await one!.save(PNG, undated, { idempotencyKey: 'k' });
    const again = await two!.save(PNG, undated, { idempotencyKey: 'k' });
    expect(again).toMatchObject({ filename: first.filename, replayed: true });
    expect(await namesOf(two!)).toEqual([first.filename]);
  });

  it('goes on without its Postgres, lists nothing meanwhile, and everything afterwards', async () => {
    const {
      providers: [one, two],
      open,
    } = await openSeveral(2);
    const kept = await one!.save(PNG, SAVE);
    const gone = await one!.save(PNG, SAVE);
    await server.halt();
    const saved = await one!.save(PNG, { ...SAVE, prompt: 'a late owl' }, { idempotencyKey: 'late' });
    expect(await two!.get(saved.filename)).toMatchObject({ item: { metadata: { prompt: 'a late owl' } } });
    expect(await two!.delete(gone.filename)).toBe(true);
    await two!.update(kept.filename, { pinned: true });
    for (const call of [() => namesOf(one!), () => one!.getStatistics(), () => one!.cleanup({ keepCount: 1 })]) {
      await expect(call()).rejects.toMatchObject({ reason: 'INDEX_UNAVAILABLE', retryAfterMs: 1000 });
    }
    expect(two!.health).toMatchObject({ serving: false, why: expect.stringContaining('index') });
    // A daemon may begin without it, too.
    const three = await open(3);
    expect(await three.get(saved.filename)).toMatchObject({ item: { filename: saved.filename } });
    await server.start();
    const expected = [saved.filename, kept.filename].sort();
    for (const provider of [one!, two!, three]) {
      await vi.waitFor(async () => expect((await namesOf(provider)).sort()).toEqual(expected), WAITING);
      await vi.waitFor(() => expect(provider.health).toEqual({ serving: true }), WAITING);
    }
    expect((await three.list({ pinned: true })).map(({ filename }) => filename)).toEqual([kept.filename]);
    expect(await one!.getStatistics()).toMatchObject({ count: 2, pinnedCount: 1 });
  });

  it('answers a repeated save without its Postgres by what waits, or not at all, and never makes a second image', async () => {
    const {
      providers: [one, two],
    } = await openSeveral(2);
    const [undated, dated] = [{ prompt: 'an owl', model: 'flux-schnell' }, SAVE];
    const known = await one!.save(PNG, undated, { idempotencyKey: 'known' });
    await server.halt();
    const first = await one!.save(PNG, dated, { idempotencyKey: 'dated' });
    for (const provider of [one!, two!]) {
      const again = await provider.save(PNG, dated, { idempotencyKey: 'dated' });
      expect(again).toMatchObject({ filename: first.filename, replayed: true });
      for (const idempotencyKey of ['known', 'new']) {
        const save = provider.save(PNG, undated, { idempotencyKey });
        await expect(save).rejects.toMatchObject({ reason: 'INDEX_UNAVAILABLE', retryAfterMs: 1000 });
      }
    }
    await server.start();
    await vi.waitFor(() => expect(two!.health).toEqual({ serving: true }), WAITING);
    const again = await two!.save(PNG, undated, { idempotencyKey: 'known' });
    expect(again).toMatchObject({ filename: known.filename, replayed: true });
    await untilListed(one!, [known.filename, first.filename]);
  });

  it.runIf(process.platform === 'linux')(
    'reads and changes by name while its Postgres hangs, and says soon that nothing is listed',
    { timeout: 30_000 },
    async () => {
      const {
        providers: [one],
      } = await openSeveral(1);
      const { filename } = await one!.save(PNG, SAVE);
      await untilListed(one!, [filename]);
      server.hang();
      onTestFinished(() => server.resume());
      // As long as a statement may take: what waits for that does not know that the server hangs.
      const longer = sleep(10_000, 'too late', { ref: false });
      const refused = namesOf(one!).catch(({ reason, retryAfterMs }) => ({ reason, retryAfterMs }));
      expect(await Promise.race([refused, longer])).toEqual({ reason: 'INDEX_UNAVAILABLE', retryAfterMs: 1000 });
      expect(one!.health).toMatchObject({ serving: false });
      const saved = await one!.save(PNG, SAVE);
      expect(await one!.get(filename)).toMatchObject({ item: { filename } });
      expect(await one!.update(filename, { pinned: true })).toMatchObject({ pinned: true });
      server.resume();
      const expected = [filename, saved.filename].toSorted();
      await vi.waitFor(async () => expect((await namesOf(one!)).toSorted()).toEqual(expected), WAITING);
      await vi.waitFor(() => expect(one!.health).toEqual({ serving: true }), WAITING);
    },
  );

  it('stays ready while others hold a lock of its Postgres, and writes the row later', async () => {
    const {
      providers: [one],
    } = await openSeveral(1);
    const first = await one!.save(PNG, SAVE);
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(`BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('${schemaOf(one!.storeId)} slices', 0))`);
    const later = await one!.save(PNG, SAVE);
    expect(one!.health).toEqual({ serving: true });
    expect(await namesOf(one!)).toEqual([first.filename]);
    await client.end();
    await vi.waitFor(async () => expect(await namesOf(one!)).toHaveLength(2), WAITING);
    expect((await namesOf(one!)).toSorted()).toEqual([first.filename, later.filename].toSorted());
  });

  it('finds after a restart what the index could not be told', async () => {
    const {
      providers: [one],
      open,
    } = await openSeveral(1);
    await server.halt();
    const { filename } = await one!.save(PNG, SAVE);
    await one!.close();
    await server.start();
    const again = await open(0);
    await vi.waitFor(async () => expect(await namesOf(again)).toEqual([filename]), WAITING);
  });

  it.each(CUT_MOMENTS)('writes the rows of what it acknowledged, cut off %s their COMMIT', async (moment) => {
    const { open } = await openSeveral(0);
    let next: CutMoment | undefined;
    const cutOnce = () => {
      const cut = next;
      next = undefined;
      return cut;
    };
    await using proxy = await startPostgresProxy(await server.createDatabase(), cutOnce);
    const one = await open(0, { index: proxy.url });
    const [kept, gone] = [(await one.save(PNG, SAVE)).filename, (await one.save(PNG, SAVE)).filename];
    next = moment;
    const { filename } = await one.save(PNG, SAVE, { idempotencyKey: 'cut' });
    next = moment;
    expect(await one.update(kept, { pinned: true, addTags: ['cut'] })).toMatchObject({ pinned: true });
    next = moment;
    expect(await one.delete(gone)).toBe(true);
    const again = await one.save(PNG, SAVE, { idempotencyKey: 'cut' });
    expect(again).toMatchObject({ filename, replayed: true });
    const expected = [kept, filename].toSorted();
    await vi.waitFor(async () => expect((await namesOf(one)).toSorted()).toEqual(expected), WAITING);
    expect(await one.list({ tags: ['cut'] })).toMatchObject([{ filename: kept, pinned: true }]);
    expect(await one.getStatistics()).toMatchObject({ count: 2, pinnedCount: 1 });
    expect(proxy.cuts[moment]).toBeGreaterThan(0);
  });

  it('reads from the bucket what waited beyond its memory, once its Postgres is back', async () => {
    const {
      providers: [one],
    } = await openSeveral(1);
    await server.halt();
    const parametersJson = JSON.stringify({ workflow: 'x'.repeat(900_000) });
    const filenames: string[] = [];
    for (let at = 0; at < 38; at += 1) filenames.push((await one!.save(PNG, { ...SAVE, parametersJson })).filename);
    const gone = filenames.shift()!;
    expect(await one!.delete(gone)).toBe(true);
    await server.start();
    await vi.waitFor(async () => expect((await namesOf(one!)).toSorted()).toEqual(filenames.toSorted()), WAITING);
    expect(await one!.getStatistics()).toMatchObject({ count: filenames.length });
  });

  it('finds by the bucket what a daemon left whose rows waited when it was killed and its state was lost', async () => {
    const { open } = await openSeveral(0);
    await using proxy = await startPostgresProxy(url);
    const [killed, other] = [await open(0, { index: proxy.url }), await open(1, { fullSyncMinutes: 0.01 })];
    const [kept, gone] = [(await killed.save(PNG, SAVE)).filename, (await killed.save(PNG, SAVE)).filename];
    await untilListed(other, [kept, gone]);
    // From here on nothing of it reaches Postgres any more, and nobody has what it kept for itself.
    proxy.break();
    const { filename } = await killed.save(PNG, { ...SAVE, prompt: 'a late owl' });
    await killed.update(kept, { pinned: true });
    expect(await killed.delete(gone)).toBe(true);
    await vi.waitFor(
      async () => expect((await namesOf(other)).toSorted()).toEqual([kept, filename].toSorted()),
      WAITING,
    );
    expect(await other.list({ pinned: true })).toMatchObject([{ filename: kept }]);
    expect(await other.getStatistics()).toMatchObject({ count: 2, pinnedCount: 1 });
    expect((await verified(other)).findings).toEqual([]);
  });

  it('never lists a part where the index was restored from a backup, or emptied', async () => {
    const { providers } = await openSeveral(2);
    const filenames: string[] = [];
    const save = async () => filenames.push((await providers[0]!.save(PNG, SAVE)).filename);
    const untilAllList = async () => {
      for (const provider of providers) await untilListed(provider, filenames);
    };
    await save();
    await untilAllList();
    await server.backUp();
    await save();
    await save();
    const deleted = filenames.shift()!;
    expect(await providers[1]!.delete(deleted)).toBe(true);
    // Behind the restart for the backup, the row of one may come a moment later.
    for (const provider of providers) {
      await vi.waitFor(async () => expect((await namesOf(provider)).toSorted()).toEqual(filenames.toSorted()), WAITING);
    }
    await server.restore();
    await untilAllList();
    await ask(url, `DROP SCHEMA ${schemaOf(providers[0]!.storeId)} CASCADE`);
    await save();
    await untilAllList();
    expect(await providers[1]!.getStatistics()).toMatchObject({ count: filenames.length });
  });

  it('is filled from snapshots where it was emptied, which are made by the same rules as those of a file', async () => {
    const bucket: MemoryBucket = new Map();
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
    const { objects, reads } = counting(memoryObjects(bucket));
    const open = async () => {
      const store = await openStore({ objects, stateDir: join(folder, 'a'), index: url }, contextOf());
      await store.synchronizer.run();
      return { store, provider: new ObjectStorage(store, memoryStorage(objects), async () => {}) };
    };
    const first = await open();
    await putRecords(objects, 0, 120);
    const { filename } = await first.provider.save(PNG, SAVE);
    await first.store.synchronizer.run();
    const make = () => makeSnapshots(first.store, { size: 50 });
    expect(await make()).toEqual({ snapshots: 2, records: 121 });
    expect(await first.provider.delete(filename)).toBe(true);
    expect(copiesIn(bucket).has(filename)).toBe(true);
    await make();
    expect(copiesIn(bucket).has(filename)).toBe(false);
    const listed = await first.provider.list();
    const statistics = await first.provider.getStatistics();
    await ask(url, `DROP SCHEMA ${schemaOf(first.provider.storeId)} CASCADE`);
    // An index that is empty says nothing of what there is.
    await make().catch(() => {});
    expect(copiesIn(bucket).size).toBe(120);
    await first.provider.close();
    Object.assign(reads, { records: 0, snapshots: 0 });
    const second = await open();
    expect(reads).toEqual({ records: 1, snapshots: 2 });
    expect(await second.provider.list()).toEqual(listed);
    expect(await second.provider.getStatistics()).toEqual(statistics);
    await second.provider.close();
    await rm(folder, { recursive: true });
  });

  it('brings nothing back that was deleted since the backup, and lets a plan over the restored index expire', async () => {
    const {
      providers: [one],
    } = await openSeveral(1);
    const [gone, kept] = [(await one!.save(PNG, SAVE)).filename, (await one!.save(PNG, SAVE)).filename];
    await untilListed(one!, [gone, kept]);
    await server.backUp();
    await untilListed(one!, [gone, kept]);
    expect(await one!.delete(gone)).toBe(true);
    const { plan } = await one!.cleanup({ selection: { query: 'fox' }, dryRun: true });
    await server.restore();
    await untilListed(one!, [kept]);
    const late = await one!.save(PNG, SAVE);
    await expect(one!.cleanup({ selection: { query: 'fox', plan: plan! } })).rejects.toMatchObject({
      reason: 'PLAN_EXPIRED',
    });
    await untilListed(one!, [kept, late.filename]);
  });

  it('lists no part after a start over a Postgres that was restored while all daemons were stopped', async () => {
    const {
      providers: [first, other],
      open,
      bucket,
    } = await openSeveral(2);
    const filenames = [(await first!.save(PNG, SAVE)).filename];
    await untilListed(first!, filenames);
    await first!.close();
    // It has compared the index with the bucket: after a start nobody does at once.
    await other!.close();
    await server.backUp();
    const second = await open(0);
    filenames.push((await second.save(PNG, SAVE)).filename);
    await second.close();
    await server.restore();
    const objects = memoryObjects(bucket);
    const get: typeof objects.get = async (key, ...rest) => {
      if (key.endsWith('/INDEX')) await sleep(300);
      return objects.get(key, ...rest);
    };
    const third = await open(0, { objects: { ...objects, get } });
    await untilListed(third, filenames);
  });

  it('says without a call that its Postgres is away, and keeps what an emptied bucket has lost since', async () => {
    const {
      providers: [one],
      open,
      bucket,
    } = await openSeveral(1);
    const filenames = [(await one!.save(PNG, SAVE)).filename, (await one!.save(PNG, SAVE)).filename];
    await untilListed(one!, filenames);
    await server.halt('SIGINT');
    await vi.waitFor(() => expect(one!.health).toMatchObject({ serving: false }), WAITING);
    const two = await open(2);
    await server.start();
    for (const provider of [one!, two]) {
      await vi.waitFor(() => expect(provider.health).toEqual({ serving: true }), WAITING);
    }
    await untilListed(two, filenames);
    for (const key of bucket.keys()) if (key.includes('generations/')) bucket.delete(key);
    await expect(two.cleanup({ keepCount: 0 })).rejects.toMatchObject({ reason: 'STORE_REPLACED' });
    expect((await namesOf(one!)).toSorted()).toEqual(filenames.toSorted());
  });

  it('names the setting where it is no URL, without the password in it', async () => {
    const { open } = await openSeveral(0);
    for (const index of ['postgres://u:pa/sEcReT@localhost/db', 'postgres://u:pa#sEcReT@localhost/db']) {
      const opening = open(1, { index });
      await expect(opening).rejects.toMatchObject({ kind: 'config', message: expect.stringMatching(/index.*%2F/) });
      await expect(opening).rejects.not.toMatchObject({ message: expect.stringContaining('sEcReT') });
      await expect(examineServer(index, Date.now)).rejects.toMatchObject({ kind: 'config' });
    }
  });

  it('moves a bucket to Postgres and back, and never serves one by the other kind of index', async () => {
    const { open, bucket, folder } = await openSeveral(0);
    const [file, postgres] = [{ index: undefined as never }, {}];
    const first = await open(1, file);
    const { filename } = await first.save(PNG, SAVE);
    await first.close();
    await expect(open(1, postgres)).rejects.toMatchObject({
      kind: 'config',
      message: expect.stringContaining('migrate'),
    });
    await (await open(1, postgres, { formatChange: 'migrate' })).close();
    const before = join(folder, '1', 'main.catalog.db.before');
    expect(existsSync(before)).toBe(true);
    expect(JSON.parse(`${bucket.get('outputs/metadata/FORMAT')?.bytes}`)).toMatchObject({
      version: 2,
      needs: ['postgres'],
    });
    await expect(open(1, file)).rejects.toMatchObject({
      kind: 'config',
      message: expect.stringContaining('providers.main.index'),
    });
    const fleet = await Promise.all([open(1, postgres), open(2, postgres)]);
    for (const provider of fleet) expect(await namesOf(provider)).toEqual([filename]);
    await vi.waitFor(() => expect(existsSync(before)).toBe(false), WAITING);
    for (const provider of fleet) await provider.close();
    await (await open(1, postgres, { formatChange: 'migrateBack' })).close();
    const last = await open(1, file);
    expect(await namesOf(last)).toEqual([filename]);
    await expect(open(2, postgres)).rejects.toMatchObject({ kind: 'config' });
  });
});
