/** The provider `s3` on a real server: the conformance suite, and what only S3 has. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { openStore } from '../../src/storage/bucket/open.ts';
import { readSmall } from '../../src/storage/bucket/reading.ts';
import { payloadOf } from '../../src/storage/bucket/record-object.ts';
import { listSnapshots } from '../../src/storage/bucket/snapshot-object.ts';
import { makeSnapshots } from '../../src/storage/bucket/snapshots.ts';
import { createStorage, type S3Config } from '../../src/storage/index.ts';
import { memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { ObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { s3Objects } from '../../src/storage/s3/objects.ts';
import { describeProvider, openMain } from '../providers/provider-suite.ts';
import type { OpenOptions } from '../providers/tested-provider.ts';
import { contextOf, strayObjects } from '../support/bucket.ts';
import { chunked, collect, sha256Of } from '../support/bytes.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { counting, putRecords } from '../support/snapshots.ts';
import { type S3Server, startVersitygw, versitygwAvailable } from '../support/versitygw.ts';

const BUILD_TIMEOUT_MS = 600_000;
const SAVE = { prompt: 'a red fox', model: 'flux-schnell', timestamp: new Date('2024-09-27T14:15:22Z') };
const PNG = pngOf({ width: 8, height: 8 });

requires('Go, to build the S3 server versitygw', versitygwAvailable)('S3', () => {
  let server: S3Server;

  beforeAll(async () => {
    server = await startVersitygw();
  }, BUILD_TIMEOUT_MS);
  afterAll(() => server.stop());

  async function openS3({ settings, ...options }: OpenOptions & { settings?: Partial<S3Config> } = {}) {
    const bucket = await server.createBucket();
    const place = { ...server.settings, bucket, prefix: 'a-team', cdnUrl: 'cdn.example.com', ...settings };
    const objects = s3Objects(place);
    onTestFinished(() => objects.close?.());
    const opened = await openMain({
      settings: (stateDir) => ({ ...place, stateDir }),
      leftovers: async (_, stateDir) => [
        ...strayObjects(await contentsOf(objects)),
        ...(await readdir(join(stateDir, 'spool', 'main'))),
      ],
      ...options,
    });
    return Object.assign(opened, { objects });
  }

  describeProvider('s3', {
    open: openS3,
    storageType: 's3',
    hasTrash: true,
    urlOf: (key) => new RegExp(`^https://cdn\\.example\\.com/a-team/${key}$`),
  });

  it('keeps an image that does not fit into memory, and reads any part of it', async () => {
    const store = await openS3();
    const bytes = pngOf({ width: 8, height: 8, sizeBytes: 12_000_000 });
    const { filename } = await store.storage.save(chunked(bytes, 1 << 18), SAVE);
    expect(sha256Of(await collect((await store.storage.get(filename)).body))).toBe(sha256Of(bytes));
    const part = await collect((await store.storage.get(filename, { offset: 9_000_000, limit: 10 })).body);
    expect(part.equals(bytes.subarray(9_000_000, 9_000_010))).toBe(true);
    await store.close();
  });

  it('gives a URL that expires where no other is configured', async () => {
    const store = await openS3({ settings: { cdnUrl: undefined, urls: { expiresSeconds: 60 } } });
    const { url } = await store.storage.save(PNG, SAVE);
    const answer = await fetch(url);
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(PNG);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'image/png',
      'cache-control': 'public, max-age=31536000, immutable',
    });
    expect((await fetch(url.replace('X-Amz-Expires=60', 'X-Amz-Expires=61'))).status).toBe(403);
    await store.close();
  });

  it('fills the index of another daemon from snapshots, and leaves no deleted prompt in them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-s3-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const place = { ...server.settings, bucket: await server.createBucket(), prefix: 'a-team' };
    const bare = s3Objects(place);
    const open = async (name: string) => {
      const { objects, reads } = counting(bare);
      const store = await openStore({ objects, stateDir: join(folder, name), shared: true }, contextOf());
      await store.synchronizer.run();
      return { store, reads, provider: new ObjectStorage(store, memoryStorage(objects), async () => {}) };
    };
    await putRecords(bare, 0, 60);
    const first = await open('first');
    const { filename } = await first.provider.save(PNG, SAVE);
    expect(await makeSnapshots(first.store, { size: 40 })).toEqual({ snapshots: 2, records: 61 });
    expect(await first.provider.delete(filename)).toBe(true);
    const second = await open('second');
    // The tombstone, and no other.
    expect(second.reads).toEqual({ records: 1, snapshots: 2 });
    expect(await second.provider.list()).toEqual(await first.provider.list());
    await makeSnapshots(second.store, { size: 40 });
    const texts = await Promise.all((await listSnapshots(bare)).map(({ key }) => readSmall(bare, key)));
    expect(texts.map((object) => `${zstdDecompressSync(object!.bytes)}`).join('')).not.toContain(SAVE.prompt);
    for (const { provider } of [first, second]) await provider.close();
  });

  it('refuses bytes that are not those that were hashed', async () => {
    const store = await openS3();
    const payload = { ...payloadOf('as it was sent'), sha256: sha256Of(Buffer.from('as it was hashed')) };
    const put = store.objects.putNew('outputs/x', payload, { contentType: 'text/plain' });
    await expect(put).rejects.toMatchObject({ failure: 'unavailable', maybeApplied: false });
    expect(await readSmall(store.objects, 'outputs/x')).toBeUndefined();
    await store.close();
  });

  it('lets one of many racing writes win', async () => {
    const { objects, close } = await openS3();
    const headers = { contentType: 'text/plain' };
    const racing = Array.from({ length: 20 }, (_, index) =>
      objects.putNew('outputs/x', payloadOf(`${index}`), headers),
    );
    const results = await Promise.allSettled(racing);
    const won = results.findIndex(({ status }) => status === 'fulfilled');
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await readSmall(objects, 'outputs/x'))?.bytes.toString()).toBe(`${won}`);
    await close();
  });

  it('says at the start which setting is wrong, and shows no secret', async () => {
    const bucket = await server.createBucket();
    const stateDir = await mkdtemp(join(tmpdir(), 'image-storage-'));
    const wrong: [RegExp, Partial<S3Config>, string?][] = [
      [/accessKey.*; the service answered 40\d \w+/, { accessKey: 'nobody' }],
      [/secretKey.*; the service answered 403 SignatureDoesNotMatch: /, { secretKey: 'guessed-secret' }],
      [/\(bucket\); the service answered 404 NoSuchBucket: /, { bucket: 'no-such-bucket' }],
      [/endpoint/, { endpoint: 'http://127.0.0.1:9' }, 'unavailable'],
    ];
    for (const [message, settings, kind = 'config'] of wrong) {
      const main: S3Config = { ...server.settings, bucket, stateDir, ...settings };
      const error = await createStorage({ defaultProvider: 'main', providers: { main } }).catch((thrown) => thrown);
      expect(error).toMatchObject({ name: 'StoreOpenError', kind, message: expect.stringMatching(message) });
      expect(error.message).not.toMatch(/secret$|guessed|test-secret|nobody/);
    }
    await rm(stateDir, { recursive: true });
  });
});

async function contentsOf(objects: ObjectStore): Promise<Map<string, { bytes: Buffer }>> {
  const contents = new Map<string, { bytes: Buffer }>();
  for (let after: string | undefined, more = true; more; ) {
    const page = await objects.list('outputs/', after);
    for (const { key } of page.objects) contents.set(key, { bytes: (await readSmall(objects, key))!.bytes });
    after = page.objects.at(-1)?.key;
    more = page.more;
  }
  return contents;
}
