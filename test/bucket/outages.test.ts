/** What befalls the Postgres of a fleet that is at work: it is stopped, hangs, is restored, is emptied. All heals alone. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { inParallel } from '../../src/storage/async/parallel.ts';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { openStore } from '../../src/storage/bucket/open.ts';
import { makeSnapshots } from '../../src/storage/bucket/snapshots.ts';
import { schemaOf } from '../../src/storage/catalog/postgres/pool.ts';
import type { StorageProvider } from '../../src/storage/index.ts';
import { type MemoryBucket, memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { openObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { s3Objects } from '../../src/storage/s3/objects.ts';
import { contextOf } from '../support/bucket.ts';
import { pngOf } from '../support/images.ts';
import { randomOf } from '../support/load.ts';
import { ask, type PostgresServer, postgresAvailable, startPostgres } from '../support/postgres.ts';
import { requires } from '../support/requires.ts';
import { full, seed } from '../support/scale.ts';
import { type S3Server, startVersitygw, versitygwAvailable } from '../support/versitygw.ts';

const IMAGES = full ? Number(process.env.TEST_IMAGES ?? 20_000) : 100;
const STOPPED_MS = full ? 60_000 : 500;
const HUNG_MS = full ? 20_000 : 3_000;
/** Otherwise an outage of seconds makes thousands. */
const PAUSE_MS = full ? 5 : 20;
const SAVERS = 4;
const TIMEOUT_MS = 60 * 60_000;
const HEALS = { timeout: 20 * 60_000, interval: 50 };
const PNG = pngOf({ width: 8, height: 8 });

requires('Go and Postgres', postgresAvailable && (!full || versitygwAvailable))('a fleet without its Postgres', () => {
  const random = randomOf(seed);
  let [server, s3] = [undefined as PostgresServer | undefined, undefined as S3Server | undefined];
  beforeAll(async () => {
    server = await startPostgres();
    if (full) s3 = await startVersitygw();
  }, TIMEOUT_MS);
  afterAll(async () => {
    await server?.stop();
    await s3?.stop();
  });

  it('lists all of its images again soon after', { timeout: TIMEOUT_MS }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
    const url = await server!.createDatabase();
    const [memory, bucket]: [MemoryBucket, string] = [new Map(), (await s3?.createBucket()) ?? ''];
    const optionsOf = (name: string) => {
      const objects: ObjectStore = s3 ? s3Objects({ ...s3.settings, bucket }) : memoryObjects(memory);
      return { ...memoryStorage(objects), index: url, lockWaitSeconds: 0, stateDir: join(folder, name) };
    };
    const daemons: StorageProvider[] = [];
    for (const name of ['0', '1', '2']) daemons.push(await openObjectStorage(optionsOf(name), contextOf()));
    onTestFinished(async () => {
      for (const daemon of daemons) await daemon.close();
      await rm(folder, { recursive: true });
    });
    const any = () => daemons[Math.floor(random() * daemons.length)]!;
    const live = new Set<string>();
    let count = 0;
    const save = async () => {
      count += 1;
      // Over a hundred days, in the order of time.
      const timestamp = new Date(Date.UTC(2026, 0, 1) + Math.floor((count * 100 * 86_400_000) / (2 * IMAGES)));
      const { filename } = await any().save(PNG, { prompt: `a fox, number ${count}`, model: 'flux', timestamp });
      live.add(filename);
    };
    /** Saves, and deletes every tenth time, until it is told to stop. */
    const workUntil = async (end: Promise<unknown>) => {
      let isOver = false;
      end.finally(() => {
        isOver = true;
      });
      const work = async () => {
        while (!isOver) {
          await save();
          await sleep(PAUSE_MS);
          const [oldest] = live;
          if (random() > 0.1 || !live.delete(oldest!)) continue;
          expect(await any().delete(oldest!)).toBe(true);
        }
      };
      await Promise.all(Array.from({ length: SAVERS }, work));
      await end;
    };
    /** Waits until each lists all, never a part without an error; says how long after the return that was. */
    const healed = async (what: string) => {
      const began = performance.now();
      const expected = [...live].sort();
      await Promise.all(
        daemons.map(async (daemon) => {
          await vi.waitUntil(
            () =>
              daemon.getStatistics().then(
                (statistics) => statistics.count === expected.length,
                (error) => {
                  if (error.reason !== 'INDEX_UNAVAILABLE') throw error;
                  return false;
                },
              ),
            HEALS,
          );
        }),
      );
      const ms = performance.now() - began;
      for (const daemon of daemons) {
        expect((await daemon.list()).map(({ filename }) => filename).sort()).toEqual(expected);
        await vi.waitFor(() => expect(daemon.health).toEqual({ serving: true }), HEALS);
      }
      const rate = Math.round((expected.length / ms) * 1000);
      console.info(
        `${what}: ${expected.length} images listed by all after ${(ms / 1000).toFixed(1)} s, ${rate} a second`,
      );
    };

    await inParallel(8, Array.from({ length: IMAGES }), save);
    await healed('filled');

    await server!.halt();
    await workUntil(sleep(STOPPED_MS));
    await server!.start();
    await healed('stopped');

    server!.hang();
    onTestFinished(() => server!.resume());
    await workUntil(sleep(HUNG_MS));
    server!.resume();
    await healed('hung');

    await server!.backUp();
    await healed('stopped for a backup');
    await workUntil(sleep(STOPPED_MS));
    await server!.restore();
    await healed('restored');

    const emptied = `DROP SCHEMA ${schemaOf(daemons[0]!.storeId)} CASCADE`;
    await ask(url, emptied);
    await healed('emptied');

    const maker = await openStore(optionsOf('maker'), contextOf());
    // One that is whole has listed all before it notes so.
    await vi.waitUntil(() => maker.catalog.isFilled(), HEALS);
    const { snapshots } = await makeSnapshots(maker);
    expect(snapshots).toBeGreaterThan(0);
    maker.closing.abort();
    await maker.catalog.close(false);
    maker.lock.release();
    await ask(url, emptied);
    await healed('emptied, with snapshots');
  });
});
