/** Three daemons, each with a catalog of its own, on one bucket: what one acknowledges is true for all. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { connect, type ImageStorageClient, type SavedImage } from '../../src/client.ts';
import { inParallel } from '../../src/storage/async/parallel.ts';
import { loseState, startBucketDaemon } from '../support/bucket-daemon.ts';
import type { DaemonProcess } from '../support/daemon-process.ts';
import { imageOf } from '../support/ledger.ts';
import { random } from '../support/load.ts';
import { type PostgresServer, postgresAvailable, startPostgres } from '../support/postgres.ts';
import { requires } from '../support/requires.ts';
import { full } from '../support/scale.ts';
import { type S3Server, startVersitygw, versitygwAvailable } from '../support/versitygw.ts';

const SAVES = full ? 3_000 : 150;
const SAVES_A_KEY = 3;
const KEYS = SAVES / SAVES_A_KEY;
const AT_ONCE = 12;
/** Of images of any date. */
const OFTEN = { syncSeconds: 1, fullSyncMinutes: 0.034 };
/** For what hangs: a machine under load may need several times the interval. */
const GIVE_UP_MS = 60_000;
const TIMEOUT_MS = 15 * 60_000;

requires('Go, to build the S3 server versitygw', versitygwAvailable)('three daemons on one bucket', () =>
  withIndex('files'),
);
if (full)
  requires('Go and Postgres', versitygwAvailable && postgresAvailable)(
    'three daemons on one bucket and one index',
    () => withIndex('postgres'),
  );

function withIndex(kind: 'files' | 'postgres'): void {
  let server: S3Server;
  let postgres: PostgresServer | undefined;
  let following: ({ shared: true } & typeof OFTEN) | { index: string };
  let folder: string;
  let bucket: string;
  let daemons: DaemonProcess[];
  let clients: ImageStorageClient[];

  beforeAll(async () => {
    server = await startVersitygw();
    if (kind === 'postgres') postgres = await startPostgres();
    following = postgres ? { index: await postgres.createDatabase() } : { shared: true, ...OFTEN };
  }, TIMEOUT_MS);
  afterAll(async () => {
    await server.stop();
    await postgres?.stop();
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
    bucket = await server.createBucket();
    daemons = await Promise.all([0, 1, 2].map((number) => start(number)));
    clients = daemons.map(({ address }) => connect(address));
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    await Promise.all(daemons.map((daemon) => daemon.stop('SIGTERM')));
    await rm(folder, { recursive: true });
  });

  function start(number: number, settings: { bucket?: string } = {}): Promise<DaemonProcess> {
    const place = { ...server.settings, bucket, ...following, ...settings };
    return startBucketDaemon(place, join(folder, `${number}`));
  }

  const anyClient = () => clients[Math.floor(random() * clients.length)]!;

  /** The image of that key, the same whenever it is sent; every third is dated back. */
  function save(key: number): Promise<SavedImage> {
    const { bytes, metadata } = imageOf(key, { sizeBytes: 2_000 });
    const timestamp = new Date(Date.UTC(key % 3 === 0 ? 2019 : 2026, 0, 1) + key * 60_000);
    return anyClient().save(bytes, { ...metadata, timestamp }, { idempotencyKey: `shared-${key}` });
  }

  async function saveAll(keys: number): Promise<Map<number, Set<string>>> {
    const filenames = new Map<number, Set<string>>();
    const turns = Array.from({ length: keys * SAVES_A_KEY }, (_, turn) => turn % keys);
    await inParallel(AT_ONCE, shuffled(turns), async (key) => {
      const { filename } = await save(key);
      filenames.set(key, (filenames.get(key) ?? new Set()).add(filename));
    });
    return filenames;
  }

  async function untilAllList(expected: Iterable<string>): Promise<void> {
    const wanted = [...expected].sort();
    for (const client of clients) {
      const giveUpAt = Date.now() + GIVE_UP_MS;
      let listed: string[] = [];
      do {
        listed = (await filenamesOf(client)).sort();
        if (listed.length === wanted.length && listed.every((name, at) => name === wanted[at])) break;
        await sleep(200);
      } while (Date.now() < giveUpAt);
      expect(listed).toEqual(wanted);
    }
  }

  it('make one image a key, delete for all, and list the same', { timeout: TIMEOUT_MS }, async () => {
    const filenames = await saveAll(KEYS);
    expect([...filenames.values()].map(({ size }) => size)).toEqual(Array.from({ length: KEYS }, () => 1));
    const images = new Map([...filenames].map(([key, [filename]]) => [key, filename!]));
    expect(new Set(images.values()).size).toBe(KEYS);
    await untilAllList(images.values());

    const doomed = [...images].filter(([key]) => key % 10 === 0);
    await inParallel(AT_ONCE, doomed, async ([key, filename]) => {
      const [one, other] = shuffled(clients) as [ImageStorageClient, ImageStorageClient];
      const answers = await Promise.all([one.delete(filename), other.delete(filename)]);
      expect(answers.flat().filter(({ deleted }) => deleted)).toHaveLength(1);
      for (const client of clients) {
        await expect(client.get(filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
      }
      expect(await save(key)).toMatchObject({ filename, replayed: true });
      images.delete(key);
    });
    await untilAllList(images.values());
  });

  it('clean up what is there, and count it once', { timeout: TIMEOUT_MS }, async () => {
    const filenames = [...(await saveAll(30)).values()].map(([filename]) => filename!);
    await untilAllList(filenames);
    const [one, other, third] = clients as [ImageStorageClient, ImageStorageClient, ImageStorageClient];
    const deleted = await one.delete(filenames.slice(0, 5));
    expect(deleted.every((result) => result.deleted)).toBe(true);
    expect(await other.cleanup({ keepCount: 20, dryRun: true })).toMatchObject({ deletedCount: 5 });
    const both = await Promise.all([other.cleanup({ keepCount: 10 }), third.cleanup({ keepCount: 10 })]);
    expect(both.reduce((sum, { deletedCount }) => sum + deletedCount, 0)).toBe(15);
    const left = await filenamesOf(third);
    expect(left).toHaveLength(10);
    await untilAllList(left);
  });

  it('notice a lost state folder, and a bucket that is another', { timeout: TIMEOUT_MS }, async () => {
    const filenames = [...(await saveAll(10)).values()].map(([filename]) => filename!);
    await untilAllList(filenames);
    await daemons[0]!.stop('SIGKILL');
    await loseState(join(folder, '0'));
    daemons[0] = await start(0);
    clients[0]!.close();
    clients[0] = connect(daemons[0]!.address);
    await untilAllList(filenames);

    await daemons[0]!.stop('SIGTERM');
    await expect(start(0, { bucket: await server.createBucket() })).rejects.toThrow('ended with 78');
    daemons[0] = await start(0);
    clients[0].close();
    clients[0] = connect(daemons[0]!.address);
    await untilAllList(filenames);
  });
}

async function filenamesOf(client: ImageStorageClient): Promise<string[]> {
  const filenames: string[] = [];
  for await (const { filename } of client.list()) filenames.push(filename);
  return filenames;
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
