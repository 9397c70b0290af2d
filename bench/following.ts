/**
 * `npm run bench:following [-- --index postgres] [-- --images N] [-- --days N] [-- --minutes N]`: measures what daemons
 * that share a bucket cost at rest, and how soon each lists what another has saved. It takes a quarter of an hour, and
 * measures before daemons begin to make snapshots, ten minutes after their start.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect, type ImageStorageClient } from '../src/client.ts';
import { inParallel } from '../src/storage/async/parallel.ts';
import { openStore } from '../src/storage/bucket/open.ts';
import { putRecord } from '../src/storage/bucket/record-object.ts';
import type { S3Config } from '../src/storage/domain/config.ts';
import { DEFAULT_FULL_SYNC_MINUTES, DEFAULT_LIMITS } from '../src/storage/domain/config.ts';
import { imageFilename, imageKey, modelSlug, shortId } from '../src/storage/domain/naming.ts';
import type { ImageRecord } from '../src/storage/domain/record.ts';
import { ObjectStorage } from '../src/storage/providers/object-storage.ts';
import { s3Objects } from '../src/storage/s3/objects.ts';
import { pngOf } from '../test/support/images.ts';
import { recordOf } from '../test/support/many-images.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { startVersitygw } from '../test/support/versitygw.ts';
import type { Daemon } from './daemon.ts';
import { startOverBucket, stateOf, untilListed } from './fleet.ts';
import { percentile } from './rounds.ts';

const DAEMONS = 2;
const AT_ONCE = 32;
const SAVES = 100;
const SAVE_EVERY_MS = 300;
/** More than are saved while one waits. */
const LISTED = 50;
const LIST_EVERY_MS = 20;
const FILLED_EVERY_MS = 500;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Until what a fill left to do is done. */
const SETTLE_MS = 60_000;

const { values } = parseArgs({
  options: {
    index: { type: 'string', default: 'file' },
    images: { type: 'string', default: '100000' },
    days: { type: 'string', default: '100' },
    minutes: { type: 'string', default: '8' },
    dir: { type: 'string', default: tmpdir() },
  },
});
const [images, days, minutes] = [values.images, values.days, values.minutes].map(Number) as [number, number, number];

const folder = await mkdtemp(join(values.dir, 'image-storage-following-'));
// As an ordinary user: Postgres starts for no other.
const postgres = values.index === 'postgres' ? await startPostgres() : undefined;
const server = await startVersitygw();
const daemons: Daemon[] = [];
try {
  const bucket = { ...server.settings, bucket: await server.createBucket() };
  console.log(`${images} images over ${days} days, ${DAEMONS} daemons, index: ${values.index}\n`);
  const index = await postgres?.createDatabase();
  const config: S3Config = { ...bucket, shared: true, ...(index !== undefined && { index }) };
  await timed('records put into bucket and catalog', () => putRecords(config));
  for (let number = 0; number < DAEMONS; number += 1) daemons.push(await startOverBucket(folder, number, config));
  await Promise.all(daemons.map((daemon) => untilListed(daemon, images, FILLED_EVERY_MS)));
  await sleep(SETTLE_MS);
  const atRest = await measureRest();
  const ofAll = await measureOneOfAll();
  const together = atRest + (ofAll / (DEFAULT_FULL_SYNC_MINUTES * 60)) * 100;
  report(`with one of all in ${DEFAULT_FULL_SYNC_MINUTES} minutes, of a core`, `${together.toFixed(2)} %`, '<= 1 %');
  await measureListed();
} finally {
  for (const daemon of daemons) await daemon.stop();
  await postgres?.stop();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}

/** The catalog gets what was put, instead of reading it again, and the other daemons a copy of it. */
async function putRecords(config: S3Config): Promise<void> {
  const log = { debug() {}, info() {}, warn: console.warn, error: console.error };
  const rest = { now: Date.now, shortId, onFatal: console.error, failpoint: () => {} };
  const context = { name: 's3', publicUrl: '', limits: DEFAULT_LIMITS, log, ...rest };
  const store = await openStore({ ...config, stateDir: stateOf(folder, 0), objects: s3Objects(config) }, context);
  const numbers = Array.from({ length: images }, (_, number) => number);
  await inParallel(AT_ONCE, numbers, async (number) => {
    const record = recordAt(number);
    const found = await putRecord(store.objects, record);
    await store.comparing.write({ kind: 'found', filename: record.filename, found });
  });
  await store.synchronizer.run();
  await new ObjectStorage(store, { storageType: 's3', urlOf: async (key) => key }, async () => {}).close();
  for (let number = 1; number < DAEMONS; number += 1)
    await cp(stateOf(folder, 0), stateOf(folder, number), { recursive: true });
}

/** Today's among them, as many as of each other day. */
function recordAt(number: number): ImageRecord {
  const record = recordOf(number);
  const timestamp = Date.now() - (number % days) * DAY_MS - number;
  const filename = imageFilename(timestamp, modelSlug(record.model), number.toString(36).padStart(6, '0'), 'png');
  return { ...record, filename, key: imageKey(filename), timestamp, createTime: timestamp };
}

/** Returns the percentage of a core that the busiest daemon takes. */
async function measureRest(): Promise<number> {
  const before = daemons.map((daemon) => daemon.cpuSeconds());
  await sleep(minutes * 60_000);
  const shares = daemons.map((daemon, at) => ((daemon.cpuSeconds() - before[at]!) / (minutes * 60)) * 100);
  const each = shares.map((share) => share.toFixed(2)).join(' and ');
  report(`at rest, over ${minutes} minutes, of a core`, `${each} %`, '');
  return Math.max(...shares);
}

/** A plan compares everything first. Returns the seconds of CPU. */
async function measureOneOfAll(): Promise<number> {
  const [daemon] = daemons as [Daemon];
  const client = connect(daemon.address);
  const before = daemon.cpuSeconds();
  const begun = performance.now();
  await client.cleanup({ keepCount: images, dryRun: true });
  const took = `in ${((performance.now() - begun) / 1000).toFixed(1)} s`;
  const seconds = daemon.cpuSeconds() - before;
  report('a comparison of all, and a plan: CPU', `${seconds.toFixed(2)} s`, took);
  client.close();
  return seconds;
}

async function measureListed(): Promise<void> {
  const [saver, lister] = daemons.map(({ address }) => connect(address)) as [ImageStorageClient, ImageStorageClient];
  const bytes = pngOf({ width: 8, height: 8 });
  const savedAt = new Map<string, number>();
  const listedAfterMs: number[] = [];
  const saving = (async () => {
    for (let number = 0; number < SAVES; number += 1) {
      const { filename } = await saver.save(bytes, { prompt: `a fox ${number}`, model: 'sdxl' });
      savedAt.set(filename, performance.now());
      await sleep(SAVE_EVERY_MS);
    }
  })();
  while (listedAfterMs.length < SAVES) {
    for await (const { filename } of lister.list({ limit: LISTED })) {
      const at = savedAt.get(filename);
      if (at !== undefined && savedAt.delete(filename)) listedAfterMs.push(performance.now() - at);
    }
    await sleep(LIST_EVERY_MS);
  }
  await saving;
  const aim = postgres ? '<= 500 ms' : '<= syncSeconds';
  report('listed by the other, median', `${percentile(listedAfterMs, 50).toFixed(0)} ms`, '');
  report('listed by the other, p99', `${percentile(listedAfterMs, 99).toFixed(0)} ms`, aim);
  saver.close();
  lister.close();
}

async function timed(what: string, work: () => Promise<void>): Promise<void> {
  const begun = performance.now();
  await work();
  report(what, `${((performance.now() - begun) / 1000).toFixed(1)} s`, '');
}

function report(what: string, value: string, aim: string): void {
  console.log(`  ${what.padEnd(48)}${value.padStart(18)}   ${aim}`);
}
