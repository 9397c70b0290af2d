/** Three daemons on one bucket and one Postgres, killed and cut off while clients work: what was acknowledged is so in the end. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { connect, type ImageStorageClient, type ImageStorageError } from '../../src/client.ts';
import { inParallel } from '../../src/storage/async/parallel.ts';
import { listPages } from '../../src/storage/bucket/listing.ts';
import { filenameAt, RECORDS, readRecord } from '../../src/storage/bucket/record-object.ts';
import { s3Objects } from '../../src/storage/s3/objects.ts';
import { startBucketDaemon } from '../support/bucket-daemon.ts';
import { type CommitProxy, CUT_MOMENTS, startPostgresProxy, startS3Proxy } from '../support/commit-proxy.ts';
import type { DaemonProcess } from '../support/daemon-process.ts';
import { freePort } from '../support/free-port.ts';
import { imageOf } from '../support/ledger.ts';
import { randomOf } from '../support/load.ts';
import { type PostgresServer, postgresAvailable, startPostgres } from '../support/postgres.ts';
import { requires } from '../support/requires.ts';
import { full, seed } from '../support/scale.ts';
import { type S3Server, startVersitygw, versitygwAvailable } from '../support/versitygw.ts';

const OPERATIONS = full ? Number(process.env.TEST_OPERATIONS ?? 20_000) : 150;
const KEYS = OPERATIONS / 4;
const CLIENTS = 24;
const KILLS = full ? 30 : 1;
/** Of the commits of the index, and of the writes to the bucket. */
const CUT_SHARE = 0.02;
/** Every tenth image is of those that cleanups take. */
const CLEANED = 'draft';
const GIVE_UP_MS = 120_000;
const TIMEOUT_MS = 60 * 60_000;

/** What was asked for an image, and answered. */
interface Fate {
  key: number;
  /** All that saves have answered. */
  filenames: Set<string>;
  isDeleted: boolean;
  /** A delete, or a cleanup, was asked for that may have been carried out. */
  mayBeDeleted: boolean;
  isPinned: boolean;
}

requires('Go and Postgres', versitygwAvailable && postgresAvailable)('a fleet', () => {
  const random = randomOf(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  let [s3, postgres, folder] = [undefined as S3Server | undefined, undefined as PostgresServer | undefined, ''];
  let proxies: CommitProxy[] = [];
  let daemons: DaemonProcess[] = [];
  let clients: ImageStorageClient[] = [];
  let share = CUT_SHARE;
  const cutAt = () => (random() < share ? pick(CUT_MOMENTS) : undefined);

  beforeAll(async () => {
    [s3, postgres] = await Promise.all([startVersitygw(), startPostgres()]);
    folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  }, TIMEOUT_MS);
  afterAll(async () => {
    for (const client of clients) client.close();
    await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')));
    await Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]()));
    await Promise.all([s3?.stop(), postgres?.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

  it('keeps what it said, and all of it list the same in the end', { timeout: TIMEOUT_MS }, async () => {
    const bucket = { ...s3!.settings, bucket: await s3!.createBucket() };
    proxies = [
      await startPostgresProxy(await postgres!.createDatabase(), cutAt),
      await startS3Proxy(s3!.settings.endpoint!, cutAt),
    ];
    const [index, endpoint] = proxies.map(({ url }) => url) as [string, string];
    const ports = [await freePort(), await freePort(), await freePort()];
    const start = async (number: number) => {
      const options = { listen: `127.0.0.1:${ports[number]}`, stderr: 'pipe' } as const;
      const daemon = await startBucketDaemon({ ...bucket, endpoint, index }, join(folder, `${number}`), options);
      // What it says of connections that are cut.
      daemon.process.stderr?.resume();
      return daemon;
    };
    const places = Array.from({ length: CLIENTS }, (_, number) => number % 3);
    daemons = await Promise.all([0, 1, 2].map(start));
    clients = places.map((number) => connect(`127.0.0.1:${ports[number]}`));

    const fates = Array.from({ length: KEYS }, (_, key): Fate => {
      return { key, filenames: new Set(), isDeleted: false, mayBeDeleted: false, isPinned: false };
    });
    const counts: Record<string, number> = {};
    let done = 0;
    const operate = async (client: ImageStorageClient) => {
      const [name, work] = operationOf(client, pick(fates), fates, random);
      const outcome = await work().then(
        () => name,
        (error: ImageStorageError) => `${name} ${reasonOf(error)}`,
      );
      counts[outcome] = (counts[outcome] ?? 0) + 1;
      done += 1;
    };
    const killing = (async () => {
      for (let kill = 1; kill <= KILLS; kill += 1) {
        await vi.waitUntil(() => done >= (kill * OPERATIONS) / (KILLS + 1), { timeout: TIMEOUT_MS, interval: 20 });
        const number = Math.floor(random() * daemons.length);
        await daemons[number]!.stop('SIGKILL');
        daemons[number] = await start(number);
      }
    })();
    let begun = 0;
    await Promise.all([
      killing,
      ...clients.map(async (client) => {
        while (begun++ < OPERATIONS) await operate(client);
      }),
    ]);
    share = 0;
    console.info(JSON.stringify({ counts, cuts: proxies.map(({ cuts }) => cuts), kills: KILLS }));

    const truth = await untilAllAgree(clients.slice(0, 3), () => liveIn(bucket));
    for (const { key, filenames, isDeleted, mayBeDeleted, isPinned } of fates) {
      const stand = [...filenames].filter((filename) => truth.has(filename));
      expect(filenames.size, `images of key ${key}`).toBeLessThanOrEqual(1);
      if (isDeleted) expect(stand, `key ${key}, which was deleted`).toEqual([]);
      if (filenames.size === 1 && !mayBeDeleted) expect(stand, `key ${key}, which was saved`).toHaveLength(1);
      if (isPinned && !mayBeDeleted) expect(stand).toHaveLength(1);
    }
    expect(new Set([...truth.values()]).size, 'one image a key').toBe(truth.size);
  });
});

/** An operation of the kinds that clients ask for, and its name. */
function operationOf(
  client: ImageStorageClient,
  fate: Fate,
  fates: readonly Fate[],
  random: () => number,
): [string, () => Promise<void>] {
  const [filename] = fate.filenames;
  const at = random();
  if (filename === undefined || at < 0.6) return ['save', () => save(client, fate)];
  if (at < 0.75) return ['delete', () => remove(client, fate, filename)];
  if (at < 0.9) return ['update', () => update(client, fate, filename)];
  if (at < 0.97) return ['get', () => get(client, fate, filename)];
  return ['cleanup', () => cleanup(client, fates)];
}

async function save(client: ImageStorageClient, fate: Fate): Promise<void> {
  const { bytes, metadata } = imageOf(fate.key, { sizeBytes: 2_000 });
  const timestamp = new Date(Date.UTC(2026, 0, 1) + fate.key * 600_000);
  const category = fate.key % 10 === 0 ? CLEANED : 'kept';
  const sent = { ...metadata, timestamp, category };
  const saved = await client.save(bytes, sent, { idempotencyKey: `fleet-${fate.key}` });
  fate.filenames.add(saved.filename);
}

/** What the daemon refused has not happened; of anything else the end tells. */
async function remove(client: ImageStorageClient, fate: Fate, filename: string): Promise<void> {
  fate.mayBeDeleted = true;
  await client.delete(filename);
  fate.isDeleted = true;
}

async function update(client: ImageStorageClient, fate: Fate, filename: string): Promise<void> {
  await client.update(filename, { pinned: true, addTags: ['chosen'] });
  fate.isPinned = true;
}

async function get(client: ImageStorageClient, fate: Fate, filename: string): Promise<void> {
  const wasDeleted = fate.isDeleted;
  const { body } = await client.get(filename);
  for await (const _ of body);
  if (wasDeleted) throw new Error(`${filename} came back`);
}

/** Of a plan, a part at a time: nothing goes that is not in it, and nothing that was pinned before. */
async function cleanup(client: ImageStorageClient, fates: readonly Fate[]): Promise<void> {
  const ofCleanups = fates.filter(({ key }) => key % 10 === 0);
  const pinned = new Set(ofCleanups.filter(({ isPinned }) => isPinned).flatMap(({ filenames }) => [...filenames]));
  const selection = { category: CLEANED, keepCount: 3 };
  const { filenames: planned, plan } = await client.cleanup({ selection, dryRun: true });
  const wanted = new Set(planned);
  for (const fate of ofCleanups) if ([...fate.filenames].some((name) => wanted.has(name))) fate.mayBeDeleted = true;
  const { filenames } = await client.cleanup({ selection: { ...selection, plan: plan! }, maxDeletes: 2 });
  const beyond = [...filenames.filter((name) => !wanted.has(name)), ...planned.filter((name) => pinned.has(name))];
  if (beyond.length > 0) throw new Error(`deleted beyond its plan: ${beyond}`);
}

/** Fails the test by what no daemon may answer; otherwise returns what it answered. */
function reasonOf(error: ImageStorageError): string {
  if (error.name !== 'ImageStorageError') throw error;
  return error.reason ?? `code ${error.code}`;
}

/** The keys of the images in the bucket, by filename. */
async function liveIn(bucket: Parameters<typeof s3Objects>[0]): Promise<Map<string, string>> {
  const objects = s3Objects(bucket);
  const live = new Map<string, string>();
  try {
    for await (const page of listPages(objects, RECORDS)) {
      await inParallel(16, page.objects, async ({ key }) => {
        const found = await readRecord(objects, filenameAt(key)!);
        if (found.kind === 'live') live.set(found.record.filename, found.record.idempotencyKey);
      });
    }
    return live;
  } finally {
    objects.close?.();
  }
}

/** Waits until all list and count what the bucket has, and returns that. */
async function untilAllAgree(
  clients: readonly ImageStorageClient[],
  truth: () => Promise<Map<string, string>>,
): Promise<Map<string, string>> {
  return vi.waitFor(
    async () => {
      const live = await truth();
      for (const client of clients) {
        const filenames: string[] = [];
        for await (const { filename } of client.list()) filenames.push(filename);
        expect(filenames.toSorted()).toEqual([...live.keys()].sort());
        expect(await client.stats()).toMatchObject([{ count: live.size }]);
      }
      return live;
    },
    { timeout: GIVE_UP_MS, interval: 500 },
  );
}
