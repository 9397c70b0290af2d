/** What a caller is told, and finds, when one request to S3 goes wrong in one way, or all of them do. */
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect, type ImageStorageClient } from '../../src/client.ts';
import type { OpenStore } from '../../src/storage/bucket/open.ts';
import { resolveOperations } from '../../src/storage/bucket/recover.ts';
import { BUCKET_TOMBSTONE_MS, sweep } from '../../src/storage/bucket/sweep.ts';
import type { StorageProvider } from '../../src/storage/index.ts';
import { strayObjects, unsweptObjects } from '../support/bucket.ts';
import { runBucketDaemon, startBucketDaemon } from '../support/bucket-daemon.ts';
import { collect, sha256Of } from '../support/bytes.ts';
import { imageOf, type TestImage } from '../support/ledger.ts';
import { requestsOf, type S3FaultServer } from '../support/s3-fault-server.ts';
import { FAULTS_OF, type FaultName } from '../support/s3-faults.ts';
import { S3World } from './s3-world.ts';

const HOUR = 60 * 60_000;
const DEADLINE_EXCEEDED = 4;
const IDLE_TIMEOUT_MS = 500;
/** More than is held in memory: it is sent from a file. */
const LARGE_BYTES = 9_000_000;

let world: S3World;
let server: S3FaultServer;
let store: OpenStore;
let storage: StorageProvider;
let image: TestImage;
let count = 0;

beforeAll(async () => {
  world = await S3World.create({ pageSize: 5, idleTimeoutMs: IDLE_TIMEOUT_MS });
  server = world.server;
  ({ store, provider: storage } = await world.openQuietly('main'));
});
beforeEach(() => {
  count += 1;
  image = imageOf(count, { sizeBytes: 200_000 });
});
afterAll(async () => {
  await storage.close();
  await world[Symbol.asyncDispose]();
});

const save = ({ bytes, metadata, options } = image) => storage.save(bytes, metadata, options);
const read = async (filename: string) => collect((await storage.get(filename)).body);
const listed = async () => (await storage.list()).filter(({ sha256 }) => sha256 === image.sha256);

describe.each(['images', 'metadata'] as const)('a Save whose Put to outputs/%s meets', (place) => {
  it.each([...FAULTS_OF.PUT, 'stall', 'stall after the write', 'stalled request'] as const)(
    '%s succeeds, once',
    async (fault) => {
      const happened = server.breakNext(fault, requestsOf(place, 'PUT'));
      const saved = await save();
      await happened;
      expect(saved.replayed).toBe(false);
      expect(await save()).toMatchObject({ filename: saved.filename, replayed: true });
      expect(await listed()).toHaveLength(1);
      expect(sha256Of(await read(saved.filename))).toBe(image.sha256);
      expect(unsweptObjects(server.bucket)).toEqual([]);
    },
  );
});

it.each(['reset request', 'cut request', 'stalled request', '503', 'reset after the write'] as const)(
  'a large upload that meets %s is sent again from its file',
  async (fault) => {
    image = imageOf(count, { sizeBytes: LARGE_BYTES });
    const happened = server.breakNext(fault, requestsOf('images', 'PUT'));
    const { filename } = await save();
    await happened;
    expect(sha256Of(await read(filename))).toBe(image.sha256);
  },
);

describe('a Delete', () => {
  const faults: [FaultName, 'tombstone' | 'object'][] = [
    ...FAULTS_OF.PUT.map((fault): [FaultName, 'tombstone'] => [fault, 'tombstone']),
    ...FAULTS_OF.DELETE.map((fault): [FaultName, 'object'] => [fault, 'object']),
  ];
  it.each(faults)('that meets %s at the %s is carried out, once', async (fault, place) => {
    const { filename, key } = await save();
    const happened = server.breakNext(
      fault,
      place === 'object' ? requestsOf('images', 'DELETE') : requestsOf('metadata', 'PUT'),
    );
    expect(await storage.delete(filename)).toBe(true);
    await happened;
    await expect(storage.get(filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
    expect(await storage.delete(filename)).toBe(false);
    expect(server.bucket.has(key)).toBe(false);
  });

  it.each(['images', 'metadata'] as const)('is final when a Put to outputs/%s comes once more', async (place) => {
    void server.breakNext('duplicate write', requestsOf(place, 'PUT'));
    const { filename } = await save();
    const before = server.lateWrites;
    expect(await storage.delete(filename)).toBe(true);
    expect(server.lateWrites).toBe(before + 1);
    await expect(storage.get(filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
    expect(await listed()).toEqual([]);
    expect(await save()).toMatchObject({ filename, replayed: true });
    expect(await listed()).toEqual([]);
    world.now += HOUR;
    await sweep(store, BUCKET_TOMBSTONE_MS);
    expect(strayObjects(server.bucket)).toEqual([]);
  });
});

describe('a trash', () => {
  let other: S3World;
  let trashing: StorageProvider;

  beforeAll(async () => {
    other = await S3World.create({ idleTimeoutMs: IDLE_TIMEOUT_MS, trash: { days: 1 } });
    ({ provider: trashing } = await other.openQuietly('main'));
  });
  afterAll(async () => {
    await trashing.close();
    await other[Symbol.asyncDispose]();
  });

  it.each(FAULTS_OF.PUT)('whose records meet %s takes an image, gives it back and purges it, once', async (fault) => {
    const { bucket } = other.server;
    const { filename, key } = await trashing.save(image.bytes, image.metadata, image.options);
    const meets = async <T>(work: () => Promise<T>): Promise<T> => {
      const happened = other.server.breakNext(fault, requestsOf('metadata', 'PUT'));
      const answer = await work();
      await happened;
      return answer;
    };
    const inTrash = async () => (await trashing.listTrash()).filter((item) => item.filename === filename).length;
    expect(await meets(() => trashing.delete(filename))).toBe(true);
    expect([await trashing.delete(filename), await inTrash()]).toEqual([false, 1]);
    expect(await meets(() => trashing.restore(filename))).toMatchObject({ filename, sha256: image.sha256 });
    expect(sha256Of(await collect((await trashing.get(filename)).body))).toBe(image.sha256);
    expect([await trashing.delete(filename), bucket.has(key)]).toEqual([true, true]);
    expect(await meets(() => trashing.purge({ filenames: [filename] }))).toMatchObject({ count: 1 });
    expect([await inTrash(), bucket.has(key)]).toEqual([0, false]);
  });
});

describe('a Get', () => {
  it.each([...FAULTS_OF.GET, 'stall', 'stalled answer'] as const)('that meets %s gives all bytes', async (fault) => {
    const { filename } = await save();
    const happened = server.breakNext(fault, requestsOf('images', 'GET'));
    expect(sha256Of(await read(filename))).toBe(image.sha256);
    await happened;
  });

  it('never ends early as if that were all', async () => {
    const { filename } = await save();
    server.plan = (request) => (requestsOf('images', 'GET')(request) ? 'cut answer' : undefined);
    const reading = read(filename);
    await expect(reading).rejects.toMatchObject({ code: 'unavailable', reason: 'BACKEND_UNAVAILABLE' });
    await server.heal();
    expect(sha256Of(await read(filename))).toBe(image.sha256);
  });

  it.each(['shorter', 'other'] as const)('of %s bytes than were saved says so', async (how) => {
    const { filename, key } = await save();
    const object = server.bucket.get(key)!;
    object.bytes = how === 'shorter' ? object.bytes.subarray(0, 100_000) : Buffer.alloc(object.bytes.length);
    await expect(read(filename)).rejects.toMatchObject({ code: 'data_loss', reason: 'BYTES_CORRUPT' });
  });
});

it('a Save has a connection while callers hold all of those for reading', async () => {
  await using other = await S3World.create({ idleTimeoutMs: HOUR });
  const provider = await other.open('main');
  const { bytes, metadata } = imageOf(count, { sizeBytes: 4_000_000 });
  const { filename } = await provider.save(bytes, metadata);
  const readers = Array.from({ length: 200 }, async () => (await provider.get(filename)).body[Symbol.asyncIterator]());
  for (const reader of readers) void (await reader).next().catch(() => {});
  expect(await provider.save(bytes, metadata)).toMatchObject({ size: bytes.length, replayed: false });
  for (const reader of readers) void (await reader).return?.();
  await provider.close();
});

it('builds a catalog from listings that break', async () => {
  for (let more = 0; more < 10; more += 1) await save(imageOf(1_000 + more));
  const before = server.happened.get('cut answer') ?? 0;
  for (const fault of FAULTS_OF.LIST) void server.breakNext(fault, ({ operation }) => operation === 'LIST');
  const fresh = await world.open('fresh');
  const namesIn = async (opened: typeof fresh) => (await opened.list()).map(({ filename }) => filename);
  // A machine with much to do may answer CATALOG_REBUILDING first.
  await expect.poll(() => namesIn(fresh)).toEqual(await namesIn(storage));
  expect(server.happened.get('cut answer')).toBe(before + 1);
  await fresh.close();
});

describe.each(['503', 'reset', '200 with an error', 'cut request'] as const)(
  'a service that answers nothing but %s',
  (fault) => {
    it('is UNAVAILABLE; nothing is there, and the retry saves', async () => {
      server.plan = ({ operation }) => (FAULTS_OF[operation].includes(fault) ? fault : '503');
      await expect(save()).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE', outcomeUnknown: false });
      expect(storage.health).toMatchObject({ serving: false });
      await server.heal();
      expect(await listed()).toEqual([]);
      expect(await save()).toMatchObject({ replayed: false });
      expect(await listed()).toHaveLength(1);
      expect(storage.health).toEqual({ serving: true });
    });
  },
);

it('remembers that an attempt may have been applied, whatever those behind it meet', async () => {
  void server.breakNext('reset after the write', requestsOf('metadata', 'PUT'));
  server.plan = (request) => (requestsOf('metadata', 'PUT')(request) ? '409' : undefined);
  expect(await save()).toMatchObject({ replayed: false });
  await server.heal();
  expect(await listed()).toHaveLength(1);
});

it('never takes the bytes of a failed attempt for those of another with the same key', async () => {
  server.plan = (request) => (requestsOf('metadata', 'PUT')(request) ? '503' : undefined);
  await expect(save()).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE' });
  await server.heal();
  const other = { ...imageOf(-count), metadata: image.metadata, options: image.options };
  const { filename } = await save(other);
  expect(sha256Of(await read(filename))).toBe(other.sha256);
  await resolveOperations(store, [...store.unsettled.values()]);
  expect(strayObjects(server.bucket)).toEqual([]);
});

it('says that the outcome is unknown when the record may have been written, and the retry tells', async () => {
  server.plan = (request) =>
    requestsOf('metadata', 'PUT')(request) || request.operation === 'GET' ? 'reset after the write' : undefined;
  await expect(save()).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE', outcomeUnknown: true });
  await server.heal();
  await resolveOperations(store, [...store.unsettled.values()]);
  await save();
  expect(await listed()).toHaveLength(1);
  expect(strayObjects(server.bucket)).toEqual([]);
});

it('a daemon writes nothing about an attempt that the next one makes good', async () => {
  const daemon = await startBucketDaemon(server.settings, join(world.folder, 'silent'), { stderr: 'pipe' });
  const said = text(daemon.process.stderr!);
  const client = connect(daemon.address);
  const happened = server.breakNext('reset request', requestsOf('images', 'PUT'));
  const { bytes, metadata, options } = imageOf(count, { sizeBytes: LARGE_BYTES });
  await client.save(bytes, metadata, options);
  await happened;
  client.close();
  await daemon.stop('SIGTERM');
  expect(await said).toBe('');
});

it('a daemon ends clean while its bucket keeps a save waiting, which the next start settles', async () => {
  const start = () => startBucketDaemon(server.settings, join(world.folder, 'stalled'));
  const daemon = await start();
  const client = connect(daemon.address, { deadlineMs: 1_500 });
  const happened = server.breakNext('stall after the write', requestsOf('images', 'PUT'));
  const unanswered = client.save(image.bytes, image.metadata, image.options).catch(() => {});
  const { key } = await happened;
  await unanswered;
  client.close();
  expect(await daemon.stop('SIGTERM')).toBe(0);
  expect(server.bucket.has(key)).toBe(true);
  const next = await start();
  expect(server.bucket.has(key)).toBe(false);
  await next.stop('SIGTERM');
});

describe('a deadline, while the bucket keeps a daemon waiting,', () => {
  let daemon: Awaited<ReturnType<typeof runBucketDaemon>>;
  let client: ImageStorageClient;
  let hasty: ImageStorageClient;

  beforeAll(async () => {
    daemon = await runBucketDaemon(server.settings, join(world.folder, 'daemon'));
    client = connect(daemon.address);
    hasty = connect(daemon.address, { deadlineMs: 1_500 });
  });
  afterAll(async () => {
    for (const each of [client, hasty]) each.close();
    await daemon.close();
  });

  it('ends a Get, and nothing of it hinders the next one', async () => {
    const { filename } = await client.save(image.bytes, image.metadata, image.options);
    void server.breakNext('stalled answer', requestsOf('images', 'GET'));
    const get = async (by: ImageStorageClient) => collect((await by.get(filename)).body);
    await expect(get(hasty)).rejects.toMatchObject({ code: DEADLINE_EXCEEDED });
    expect(sha256Of(await get(client))).toBe(image.sha256);
    server.dropConnections();
  });

  it('ends a Save without a word about its outcome, which the retry tells', async () => {
    const happened = server.breakNext('stall after the write', requestsOf('metadata', 'PUT'));
    const unanswered = hasty.save(image.bytes, image.metadata, image.options);
    await expect(unanswered).rejects.toMatchObject({ code: DEADLINE_EXCEEDED, outcomeUnknown: true });
    await happened;
    server.dropConnections();
    expect(await client.save(image.bytes, image.metadata, image.options)).toMatchObject({ replayed: true });
  });
});
