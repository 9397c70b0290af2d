/** What the seven rpcs promise their callers, over a real daemon and the contract's own messages, whatever its default provider. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { GroupBy, type Image, ImageStorage, Order } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { all, chunk, header, outcomeOf, saveAt, storageAt, stream, trailer, upload } from '../support/grpc.ts';
import { jpegOf, pngOf, webpOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { type S3Server, startVersitygw, versitygwAvailable } from '../support/versitygw.ts';

const png = pngOf({ width: 40, height: 30, sizeBytes: 600_000 });
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
const seconds = (iso: string) => ({ seconds: BigInt(Date.parse(iso) / 1000), nanos: 0 });

/** Go builds the S3 server first. */
const START_TIMEOUT_MS = 600_000;

interface Place {
  storageType: 'local' | 's3';
  start(): Promise<RunningDaemon>;
  /** The bytes where the image says they are; undefined when nothing is there. */
  stored(image: Image): Promise<Buffer | undefined>;
}

describe('a local store', () =>
  describeApi({
    storageType: 'local',
    start: () => runDaemon(),
    stored: ({ path }) => readFile(path).catch(() => undefined),
  }));

describe('a local store, with Save and Get through connect', () =>
  describeApi({
    storageType: 'local',
    start: () => runDaemon({}, { raw: false }),
    stored: ({ path }) => readFile(path).catch(() => undefined),
  }));

requires('Go, to build the S3 server versitygw', versitygwAvailable)('a bucket', () => {
  let server: S3Server;
  let stateDir: string;
  afterAll(async () => {
    await server.stop();
    await rm(stateDir, { recursive: true });
  });

  describeApi({
    storageType: 's3',
    async start() {
      server = await startVersitygw();
      stateDir = await mkdtemp(join(tmpdir(), 'image-storage-'));
      const { endpoint, region, accessKey, secretKey } = server.settings;
      return runDaemon({
        IMAGE_STORAGE_DEFAULT_PROVIDER: 's3',
        IMAGE_STORAGE_PROVIDERS_S3_BUCKET: await server.createBucket(),
        IMAGE_STORAGE_PROVIDERS_S3_ENDPOINT: endpoint,
        IMAGE_STORAGE_PROVIDERS_S3_REGION: region,
        IMAGE_STORAGE_PROVIDERS_S3_ACCESS_KEY: accessKey,
        IMAGE_STORAGE_PROVIDERS_S3_SECRET_KEY: secretKey,
        IMAGE_STORAGE_PROVIDERS_S3_STATE_DIR: stateDir,
      });
    },
    async stored({ url }) {
      const answer = await fetch(url);
      return answer.ok ? Buffer.from(await answer.arrayBuffer()) : undefined;
    },
  });
});

function describeApi({ storageType, start, stored }: Place): void {
  let daemon: RunningDaemon;
  let storage: ReturnType<typeof storageAt>;

  beforeAll(async () => {
    daemon = await start();
    storage = storageAt(daemon.address);
  }, START_TIMEOUT_MS);
  afterEach(async () => {
    const filenames = await listed({});
    if (filenames.length > 0) await storage.delete({ filenames });
  });
  afterAll(() => daemon.close());

  /** Three images of two models on three days; the newest is pinned. */
  async function saveThree(): Promise<Image[]> {
    const about = (day: string, model: string, prompt: string, pinned = false) => ({
      metadata: { prompt, model, category: 'test', tags: ['fox', day], timestamp: seconds(`${day}T12:00:00Z`) },
      pinned,
    });
    return [
      await saveAt(daemon.address, pngOf({ width: 8, height: 8 }), about('2024-09-25', 'FLUX.1 [dev]', 'a red fox')),
      await saveAt(daemon.address, jpegOf({ width: 8, height: 8 }), about('2024-09-26', 'sdxl', 'a blue fox')),
      await saveAt(daemon.address, webpOf({ width: 8, height: 8 }), about('2024-09-27', 'sdxl', 'a red car', true)),
    ];
  }

  async function listed(request: Parameters<typeof storage.list>[0]): Promise<string[]> {
    const filenames: string[] = [];
    for await (const { images } of storage.list(request)) filenames.push(...images.map(({ filename }) => filename));
    return filenames;
  }

  describe('Save', () => {
    it('answers with the stored image, whose bytes lie where it says', async () => {
      const metadata = {
        prompt: 'a fox, 猫',
        model: 'black-forest-labs/FLUX.1 [dev]',
        timestamp: { ...seconds('2024-09-27T14:15:22Z'), nanos: 123_999_999 },
        category: 'animals',
        parametersJson: '{"seed": 18446744073709551615}',
        tags: ['a', 'b'],
      };
      const { image, replayed } = await storage.save(upload(png, { metadata, pinned: true }));
      expect(replayed).toBe(false);
      expect(image).toMatchObject({
        storageType,
        provider: storageType,
        size: BigInt(png.length),
        contentType: 'image/png',
        width: 40,
        height: 30,
        pinned: true,
        metadata: { ...metadata, timestamp: { nanos: 123_000_000 } },
      });
      expect(image!.filename).toMatch(/^20240927_141522_black-forest-labs-flux-1-dev_[0-9a-z]{6}\.png$/);
      expect(image!.key).toBe(`outputs/images/generations/2024-09-27/black-forest-labs-flux-1-dev/${image!.filename}`);
      expect(image!.url).toContain(`/${image!.key}`);
      expect(Buffer.from(image!.sha256)).toEqual(sha256(png));
      expect(await stored(image!)).toEqual(png);
    });

    it('checks what is declared, in the header or behind the bytes', async () => {
      const size = BigInt(png.length);
      const right = { size, sha256: sha256(png) };
      const save = (about: object, end: object) => storage.save(stream(header(about), ...chunksOf(png), trailer(end)));
      expect(await outcomeOf(save(right, right))).toBe('OK');
      expect(await outcomeOf(save({ contentType: 'image/png' }, {}))).toBe('OK');
      expect(await outcomeOf(save({}, { size: size + 1n }))).toBe('InvalidArgument SIZE_MISMATCH size');
      expect(await outcomeOf(save({}, { sha256: Buffer.alloc(32) }))).toBe('InvalidArgument CHECKSUM_MISMATCH sha256');
    });

    it('stores a key once, and refuses it for another image', async () => {
      const about = { metadata: { prompt: 'p' }, idempotencyKey: 'key' };
      const first = await storage.save(upload(png, about));
      const again = await storage.save(upload(png, about));
      expect(again).toMatchObject({ replayed: true, image: { filename: first.image!.filename } });
      expect(await outcomeOf(storage.save(upload(jpegOf({ width: 8, height: 8 }), about)))).toBe(
        'AlreadyExists IDEMPOTENCY_KEY_REUSED idempotency_key',
      );
      expect(await listed({})).toEqual([first.image!.filename]);
    });
  });

  describe('Get', () => {
    it('gives the description first, then the bytes in chunks of at most 256 KiB', async () => {
      const saved = await saveAt(daemon.address, png);
      const messages = await all(storage.get({ filename: saved.filename }));
      expect(messages[0]!.payload).toMatchObject({ case: 'image', value: { filename: saved.filename } });
      const chunks = messages.slice(1).map(({ payload }) => payload.value as Uint8Array);
      expect(Buffer.concat(chunks)).toEqual(png);
      expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThanOrEqual(256 * 1024);
    });

    it('gives a range, or the description alone', async () => {
      const { filename } = await saveAt(daemon.address, png);
      const read = async (request: object) => {
        const messages = await all(storage.get({ filename, ...request }));
        return Buffer.concat(messages.slice(1).map(({ payload }) => payload.value as Uint8Array));
      };
      expect(await read({ offset: 300_000n, limit: 1000n })).toEqual(png.subarray(300_000, 301_000));
      expect(await read({ offset: 599_990n, limit: 2n ** 64n - 1n })).toEqual(png.subarray(599_990));
      expect(await read({ offset: 600_000n })).toHaveLength(0);
      expect(await read({ metadataOnly: true })).toHaveLength(0);
      expect(await outcomeOf(storage.get({ filename, offset: 2n ** 64n - 1n }))).toMatch(
        'OutOfRange OFFSET_OUT_OF_RANGE',
      );
      expect(await outcomeOf(storage.get({ filename: '../../etc/passwd' }))).toMatch('NotFound IMAGE_NOT_FOUND');
    });
  });

  describe('List', () => {
    it('filters, orders and limits', async () => {
      const [fox, blueFox, car] = (await saveThree()).map(({ filename }) => filename);
      expect(await listed({})).toEqual([car, blueFox, fox]);
      expect(await listed({ order: Order.OLDEST_FIRST, limit: 2 })).toEqual([fox, blueFox]);
      expect(await listed({ model: 'flux-1-dev' })).toEqual([fox]);
      expect(await listed({ query: 'RED' })).toEqual([car, fox]);
      expect(await listed({ tags: ['fox', '2024-09-26'], category: 'test' })).toEqual([blueFox]);
      expect(await listed({ pinned: false })).toEqual([blueFox, fox]);
      const dateRange = { start: seconds('2024-09-25T12:00:01Z'), end: seconds('2024-09-27T12:00:00Z') };
      expect(await listed({ dateRange })).toEqual([blueFox]);
      expect(await listed({ dateRange: { start: dateRange.end, end: dateRange.start } })).toEqual([]);
      expect(await listed({ provider: '*' })).toEqual([car, blueFox, fox]);
    });

    it('resumes behind any batch, and sends none without a match', async () => {
      const filenames = (await saveThree()).map(({ filename }) => filename).reverse();
      const batches = await all(storage.list({ batchSize: 1 }));
      expect(batches.map(({ images }) => images[0]!.filename)).toEqual(filenames);
      expect(batches.map(({ nextPageToken }) => nextPageToken !== '')).toEqual([true, true, false]);
      const pageToken = batches[0]!.nextPageToken;
      expect(await listed({ pageToken })).toEqual(filenames.slice(1));
      expect(await outcomeOf(storage.list({ pageToken, category: 'other' }))).toMatch('PAGE_TOKEN_INVALID');
      expect(await all(storage.list({ category: 'other' }))).toEqual([]);
    });
  });

  describe('HTTP', () => {
    it('serves an image under its key, whole and in part, and its description', async () => {
      const { key, filename } = await saveAt(daemon.address, png);
      const base = `http://${daemon.address}`;
      const whole = await fetch(`${base}/${key}`);
      expect([whole.status, whole.headers.get('etag')]).toEqual([200, `"${sha256(png).toString('hex')}"`]);
      expect(Buffer.from(await whole.arrayBuffer()).equals(png)).toBe(true);
      const part = await fetch(`${base}/${key}`, { headers: { range: 'bytes=100-299999' } });
      expect(part.status).toBe(206);
      expect(Buffer.from(await part.arrayBuffer()).equals(png.subarray(100, 300_000))).toBe(true);
      const described = await (await fetch(`${base}/images/${filename}`)).json();
      expect(described).toMatchObject({ key, storageType });
    });
  });

  describe('Update', () => {
    it('answers with the image as it is then, which List and Get show', async () => {
      const [fox] = await saveThree();
      const { filename } = fox!;
      const changes = { pinned: true, addTags: ['a', 'b'], removeTags: ['none'], category: 'final' };
      const { image } = await storage.update({ filename, ...changes });
      expect(image).toMatchObject({ filename, sha256: fox!.sha256, pinned: true });
      expect(image!.metadata).toMatchObject({ category: 'final', tags: expect.arrayContaining(['a', 'b']) });
      const repeated = await storage.update({ filename, ...changes });
      // A presigned URL has the time in it.
      expect({ ...repeated.image, url: '' }).toEqual({ ...image, url: '' });
      const [batch] = await all(storage.list({ category: 'final', tags: ['a'], pinned: true }));
      expect(batch!.images.map((listed) => ({ ...listed, url: '' }))).toEqual([{ ...image, url: '' }]);
      const cleared = await storage.update({ filename, pinned: false, removeTags: ['a', 'b'], category: '' });
      expect(cleared.image).toMatchObject({ pinned: false });
      expect(cleared.image!.metadata).toMatchObject({ category: '' });
    });

    it('refuses by field what cannot be, and what is not there', async () => {
      const [fox] = await saveThree();
      const { filename } = fox!;
      const outcome = (request: object) => outcomeOf(storage.update({ filename, ...request }));
      expect(await outcome({ addTags: ['a'], removeTags: ['a'] })).toMatch('InvalidArgument FIELD_INVALID');
      expect(await outcome({ addTags: Array.from({ length: 65 }, (_, at) => `t${at}`) })).toMatch('FIELD_INVALID');
      expect(await outcome({ provider: '*' })).toMatch('FIELD_INVALID');
      expect(await outcome({ provider: 'nowhere' })).toMatch('NotFound PROVIDER_NOT_FOUND');
      expect(await outcome({ filename: 'nothing.png', pinned: true })).toMatch('NotFound IMAGE_NOT_FOUND');
    });
  });

  describe('Delete', () => {
    it('says of each filename what became of it, in the order asked', async () => {
      const [fox, , pinned] = await saveThree();
      const filenames = [fox!.filename, 'nothing.png', pinned!.filename];
      const { results } = await storage.delete({ filenames });
      expect(results).toMatchObject([
        { filename: filenames[0], deleted: true, reason: '' },
        { filename: filenames[1], deleted: false, reason: 'IMAGE_NOT_FOUND' },
        { filename: filenames[2], deleted: true, reason: '' },
      ]);
      expect(await stored(fox!)).toBeUndefined();
      expect(await outcomeOf(storage.get({ filename: fox!.filename }))).toMatch('NotFound IMAGE_NOT_FOUND');
    });
  });

  describe('Cleanup', () => {
    it('shows what would go, then deletes it, and spares what is pinned', async () => {
      const [fox, blueFox, pinned] = (await saveThree()).map(({ filename }) => filename);
      const criteria = { keepCount: 0, maxDeletes: 1 };
      expect(await storage.cleanup({ ...criteria, dryRun: true })).toMatchObject({
        deletedCount: 1n,
        filenames: [fox],
        dryRun: true,
        more: true,
      });
      expect(await listed({})).toHaveLength(3);
      expect(await storage.cleanup({ keepCount: 0 })).toMatchObject({
        deletedCount: 2n,
        filenames: [fox, blueFox],
        keptPinned: 1n,
        dryRun: false,
        more: false,
      });
      expect(await listed({})).toEqual([pinned]);
    });
  });

  describe('Stats', () => {
    it('counts images and bytes, in all and by group', async () => {
      const images = await saveThree();
      const { providers } = await storage.stats({});
      expect(providers).toHaveLength(1);
      expect(providers[0]).toMatchObject({
        provider: storageType,
        storageType,
        count: 3n,
        bytes: images.reduce((sum, { size }) => sum + size, 0n),
        pinnedCount: 1n,
        oldest: seconds('2024-09-25T12:00:00Z'),
        newest: seconds('2024-09-27T12:00:00Z'),
        byCategory: [{ name: 'test', count: 3n, rest: false }],
      });
      expect(providers[0]!.byModel.map(({ name }) => name).sort()).toEqual(['FLUX.1 [dev]', 'sdxl']);
      expect(providers[0]!.byDate.map(({ name }) => name)).toEqual(['2024-09-27', '2024-09-26', '2024-09-25']);
      if (storageType === 'local') expect(providers[0]!.freeBytes).toBeGreaterThan(0n);
    });
  });

  describe('Stats with filters', () => {
    it('counts what matches, in total and by group, beside the whole of the provider', async () => {
      const [fox, blueFox] = await saveThree();
      const { providers, total, groups, more } = await storage.stats({
        query: 'fox',
        dateRange: { start: seconds('2024-09-25T00:00:00Z') },
        by: GroupBy.DAY,
        timeZone: 'Pacific/Auckland',
      });
      expect(providers[0]).toMatchObject({ count: 3n });
      expect(total).toMatchObject({ count: 2n, bytes: fox!.size + blueFox!.size, oldest: fox!.metadata!.timestamp });
      expect(groups).toMatchObject([
        { name: '2024-09-27', count: 1n, bytes: blueFox!.size, rest: false },
        { name: '2024-09-26', count: 1n, bytes: fox!.size, rest: false },
      ]);
      expect(more).toBe(false);
      const tags = await storage.stats({ by: GroupBy.TAG, startsWith: 'F' });
      expect(tags.groups).toMatchObject([{ name: 'fox', count: 3n }]);
      expect((await storage.stats({ model: 'none' })).total).toMatchObject({ count: 0n, bytes: 0n });
    });

    it.each([
      [{ timeZone: 'Mars/Base' }, 'time_zone'],
      [{ by: 77 as GroupBy }, 'by'],
      [{ limit: 10_001 }, 'limit'],
      [{ query: 'x'.repeat(5000) }, 'query'],
    ])('refuses %j', async (request, field) => {
      expect(await outcomeOf(storage.stats(request))).toBe(`InvalidArgument FIELD_INVALID ${field}`);
    });
  });

  it('List hints at what there is, only when nothing matches and only when it is asked to', async () => {
    await saveThree();
    const batchesOf = (request: Parameters<typeof storage.list>[0]) => all(storage.list(request));
    const hints = [
      { field: 'model', values: ['FLUX.1 [dev]'] },
      { field: 'tag', values: ['fox'] },
    ];
    const missing = { model: 'FLUX.1-dev-fp8', tags: ['Fox'] };
    expect(await batchesOf({ ...missing, hints: true })).toMatchObject([{ images: [], nextPageToken: '', hints }]);
    expect(await batchesOf(missing)).toEqual([]);
    expect(await batchesOf({ model: 'sdxl', query: 'none', hints: true })).toEqual([]);
    const [batch, ...others] = await batchesOf({ model: 'sdxl', hints: true });
    expect(others).toEqual([]);
    expect(batch).toMatchObject({ hints: [] });
  });

  it('is served over Connect, too', async () => {
    const transport = createConnectTransport({ baseUrl: `http://${daemon.address}`, httpVersion: '2' });
    const { filename } = await saveAt(daemon.address, png);
    const overConnect = createClient(ImageStorage, transport);
    expect((await overConnect.stats({})).providers[0]!.count).toBe(1n);
    expect((await overConnect.delete({ filenames: [filename] })).results[0]!.deleted).toBe(true);
  });
}

function chunksOf(bytes: Uint8Array) {
  return [chunk(bytes.subarray(0, 200_000)), chunk(bytes.subarray(200_000, 400_000)), chunk(bytes.subarray(400_000))];
}
