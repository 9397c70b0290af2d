/**
 * `npm run bench:outages [-- --images N] [-- --changes N]`: measures how soon three daemons list all images again after their
 * Postgres was restored from a backup that lacks the changes since, and after it was emptied: without and with snapshots.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect } from '../src/client.ts';
import { inParallel } from '../src/storage/async/parallel.ts';
import { openStore } from '../src/storage/bucket/open.ts';
import { putRecord } from '../src/storage/bucket/record-object.ts';
import { makeSnapshots } from '../src/storage/bucket/snapshots.ts';
import { schemaOf } from '../src/storage/catalog/postgres/pool.ts';
import type { S3Config } from '../src/storage/index.ts';
import { s3Objects } from '../src/storage/s3/objects.ts';
import { contextOf } from '../test/support/bucket.ts';
import { pngOf } from '../test/support/images.ts';
import { promptOf, recordOf } from '../test/support/many-images.ts';
import { ask, startPostgres } from '../test/support/postgres.ts';
import { startVersitygw } from '../test/support/versitygw.ts';
import type { Daemon } from './daemon.ts';
import { startOverBucket, untilListed } from './fleet.ts';

const DAEMONS = 3;
const AT_ONCE = 16;
/** Of so many changes one is a delete. */
const DELETE_EVERY = 10;
const ASKED_EVERY_MS = 50;

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '20000' },
    // As many as are made in a minute or two without Postgres, of an hour with it.
    changes: { type: 'string', default: '6200' },
  },
});
const [images, changes] = [values.images, values.changes].map(Number) as [number, number];

const folder = await mkdtemp(join(tmpdir(), 'image-storage-outages-'));
// As an ordinary user: Postgres starts for no other.
const postgres = await startPostgres();
const server = await startVersitygw();
const daemons: Daemon[] = [];
try {
  await measure();
} finally {
  for (const daemon of daemons) await daemon.stop();
  await postgres.stop();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  const url = await postgres.createDatabase();
  const config: S3Config = { ...server.settings, bucket: await server.createBucket(), shared: true, index: url };
  const storeId = await fill(config);
  for (let number = 0; number < DAEMONS; number += 1) daemons.push(await startOverBucket(folder, number, config));
  await untilAllList(images);
  await postgres.backUp();
  await untilAllList(images);
  const left = images + (await change());
  console.log(`${images} images, ${changes} changes since the backup, ${DAEMONS} daemons\n`);
  row('', 'seconds', 'images/s', 'changes/s', 'CPU s', 'load');
  await postgres.restore();
  await report('restored', left, changes);
  const empty = () => ask(url, `DROP SCHEMA ${schemaOf(storeId)} CASCADE`);
  await empty();
  await report('emptied', left, left);
  await snapshots(config, left);
  await empty();
  await report('emptied, with snapshots', left, left);
}

/** Puts records into a new bucket and its index. Returns the id of the store. */
async function fill(config: S3Config): Promise<string> {
  return withStore(config, async (store) => {
    const numbers = Array.from({ length: images }, (_, number) => number);
    await inParallel(AT_ONCE, numbers, async (number) => {
      const record = recordOf(number);
      const found = await putRecord(store.objects, record);
      await store.comparing.write({ kind: 'found', filename: record.filename, found });
    });
    await store.synchronizer.run();
    return store.storeId;
  });
}

async function snapshots(config: S3Config, left: number): Promise<void> {
  await withStore(config, async (store) => {
    // Where the bucket does not know yet how far the new index is, it is compared once more.
    while (!(await store.catalog.isFilled())) await sleep(ASKED_EVERY_MS);
    await makeSnapshots(store);
  });
  await untilAllList(left);
}

async function withStore<T>(
  config: S3Config,
  work: (store: Awaited<ReturnType<typeof openStore>>) => Promise<T>,
): Promise<T> {
  const objects = s3Objects(config);
  const store = await openStore({ ...config, objects, stateDir: join(folder, 'maker') }, contextOf());
  try {
    return await work(store);
  } finally {
    store.closing.abort();
    await store.catalog.close(true);
    store.lock.release();
    objects.close?.();
  }
}

/** Saves, and deletes, through all daemons. Returns by how many images there are more after it. */
async function change(): Promise<number> {
  const clients = daemons.map(({ address }) => connect(address));
  const png = pngOf({ width: 8, height: 8 });
  const saved: string[] = [];
  let more = 0;
  const numbers = Array.from({ length: changes }, (_, number) => number);
  await inParallel(AT_ONCE, numbers, async (number) => {
    const client = clients[number % clients.length]!;
    if (number % DELETE_EVERY === DELETE_EVERY - 1 && saved.length > AT_ONCE) {
      await client.delete(saved.shift()!);
      more -= 1;
      return;
    }
    const { model, timestamp } = recordOf(images + number);
    const metadata = { prompt: promptOf(images + number), model, timestamp: new Date(timestamp) };
    saved.push((await client.save(png, metadata)).filename);
    more += 1;
  });
  for (const client of clients) client.close();
  return more;
}

/** Says how long it takes until all daemons list so many, of which `missing` changes were to be read. */
async function report(what: string, count: number, missing: number): Promise<void> {
  const cpuBefore = cpuSeconds();
  const began = performance.now();
  await untilAllList(count);
  const seconds = (performance.now() - began) / 1000;
  const [load] = loadavg() as [number];
  const rates = [count / seconds, missing / seconds].map((rate) => rate.toFixed(0));
  row(what, seconds.toFixed(1), ...rates, (cpuSeconds() - cpuBefore).toFixed(1), load.toFixed(0));
}

function cpuSeconds(): number {
  return daemons.reduce((sum, daemon) => sum + daemon.cpuSeconds(), 0);
}

async function untilAllList(count: number): Promise<void> {
  await Promise.all(daemons.map((daemon) => untilListed(daemon, count, ASKED_EVERY_MS)));
}

function row(name: string, ...cells: string[]): void {
  console.log(`  ${name.padEnd(26)}${cells.map((cell) => cell.padStart(11)).join('')}`);
}
