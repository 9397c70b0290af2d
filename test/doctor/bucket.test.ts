/** `image-storage doctor` on buckets: what it says of one that is well, and of each way in which one is not. */
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { EXIT } from '../../src/exit-codes.ts';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { readSmall } from '../../src/storage/bucket/reading.ts';
import { payloadOf } from '../../src/storage/bucket/record-object.ts';
import { examineBucket } from '../../src/storage/doctor/bucket.ts';
import type { ProviderCheck } from '../../src/storage/doctor/doctor.ts';
import { createStorage, type S3Config } from '../../src/storage/index.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { memoryObjects } from '../../src/storage/providers/memory-storage.ts';
import { s3Objects } from '../../src/storage/s3/objects.ts';
import { startDaemonProcess } from '../support/daemon-process.ts';
import '../support/on-disk.ts';
import { requires } from '../support/requires.ts';
import { type S3Server, startVersitygw, versitygwAvailable } from '../support/versitygw.ts';
import {
  byName,
  configFile,
  diagnose,
  doctor,
  expectToBeLocked,
  expectToServe,
  FOX,
  newFolder,
  PNG,
  thoseThat,
} from './diagnosis.ts';

const BUILD_TIMEOUT_MS = 600_000;

requires('Go, to build the S3 server versitygw', versitygwAvailable)('of a bucket', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startVersitygw();
  }, BUILD_TIMEOUT_MS);
  afterAll(() => server.stop());

  async function place(settings: Partial<S3Config> = {}): Promise<S3Config> {
    const stateDir = await newFolder();
    return { ...server.settings, bucket: await server.createBucket(), stateDir, prefix: 'a-team', ...settings };
  }

  it('says ok to each check of one that is well, leaves nothing in it, and exits 0', async () => {
    const archive = await place();
    const { stdout, stderr, exitCode } = await doctor({ archive }, '--json');
    expect(stderr).toBe('');
    expect(exitCode).toBe(EXIT.OK);
    const checks: ProviderCheck[] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(checks.map(({ name, verdict }) => `${verdict} ${name}`)).toEqual([
      ...['ok folder', 'ok filesystem', 'ok space', expect.stringMatching(/ fsync$/), 'ok lock', 'ok search'],
      ...['ok endpoint', 'ok clock', 'ok bucket', 'ok store', 'ok create', 'ok race', 'ok overwrite', 'ok get'],
      ...['ok list', 'ok presign', 'skipped cdn', 'ok privacy', 'ok delete'],
      'skipped daemon',
    ]);
    expect(checks.every(({ provider }) => provider === 'archive')).toBe(true);
    expect(await contentsOf(archive)).toEqual([]);
    expect(await readdir(archive.stateDir!)).toEqual([]);
  });

  it.each<[string, RegExp, Partial<S3Config>]>([
    ['bucket', /\(accessKey\); the service answered 403 InvalidAccessKeyId: [^;]+/, { accessKey: 'nobody' }],
    ['bucket', /\(secretKey\); the service answered 403 SignatureDoesNotMatch: [^;]+/, { secretKey: 'guessed-secret' }],
    ['bucket', /\(bucket\); the service answered 404 NoSuchBucket: [^;]+/, { bucket: 'no-such-bucket' }],
    ['bucket', /\(region\); the service answered 400 AuthorizationHeaderMalformed: .+/, { region: 'eu-central-1' }],
    ['endpoint', /does not resolve \(endpoint\)/, { endpoint: 'http://no-such-host.invalid' }],
    ['endpoint', /nothing listens there \(endpoint\)/, { endpoint: 'http://127.0.0.1:2' }],
  ])('names the setting where the %s is refused: %s', async (name, message, settings) => {
    const main = await place(settings);
    const { stdout, stderr, exitCode } = await doctor({ main });
    expect(exitCode).toBe(EXIT.NEGATIVE);
    const failed = stdout.split('\n').filter((line) => line.startsWith('failed'));
    expect(failed).toEqual([expect.stringMatching(new RegExp(`^failed  main ${name} +.*${message.source}$`))]);
    expect(stdout).toMatch(/\n1 check failed\n$/);
    for (const secret of [server.settings.secretKey!, 'guessed-secret']) expect(stdout + stderr).not.toContain(secret);
  });

  it('tells http:// from https://', async () => {
    const http = await diagnose(await place({ endpoint: server.settings.endpoint!.replace('http', 'https') }));
    expect(http.endpoint).toMatch(/^failed: .*http:\/\/ instead of https:\/\/\? \(endpoint\)$/);
    const https = await diagnose(await place({ endpoint: await listening(createTlsServer()) }));
    expect(https.endpoint).toMatch(/^failed: .*https:\/\/ instead of http:\/\/\? \(endpoint\)$/);
  });

  it('names each permission that is missing', async () => {
    const main = await place();
    const nobody = await server.createUser(main.bucket, []);
    expect(await diagnose({ ...main, ...nobody })).toMatchObject({
      bucket: expect.stringMatching(/^failed: .*s3:ListBucket/),
      store: expect.stringMatching(/^failed: .*s3:GetObject/),
      create: expect.stringMatching(/^failed: .*s3:PutObject/),
      delete: expect.stringMatching(
        /^failed: .*s3:DeleteObject on the bucket \(or Object Lock: .*#object-lock\); the service answered 403 AccessDenied/,
      ),
    });
  });

  it('names what it may not delete', async () => {
    const main = await place();
    const user = await server.createUser(main.bucket, ['s3:ListBucket', 's3:GetObject', 's3:PutObject']);
    const checks = await diagnose({ ...main, ...user });
    expect(thoseThat('failed', checks)).toEqual(['delete']);
    const left = await contentsOf(main);
    expect(left).toHaveLength(2);
    for (const key of left) expect(checks.delete).toContain(key);
  });

  it('shows no signature of a URL that does not work', async () => {
    const main = await place();
    const user = await server.createUser(main.bucket, ['s3:ListBucket', 's3:PutObject', 's3:DeleteObject']);
    const { presign } = await diagnose({ ...main, ...user });
    expect(presign).toMatch(/^failed: .*, signed, answers 403 instead of the object/);
    expect(presign).not.toMatch(/X-Amz/i);
  });

  it('tells a store of its own from another one, and from one that is too new', async () => {
    const [first, second] = [await place(), await place()];
    for (const main of [first, second]) {
      const storage = await createStorage({ defaultProvider: 'main', providers: { main } });
      await storage.save(PNG, FOX);
      await storage.close();
    }
    expect((await diagnose(first)).store).toMatch(/^ok: it holds the store [\w-]+$/);
    expect((await diagnose({ ...first, bucket: second.bucket })).store).toMatch(/^failed: .*another stateDir$/);
    const tooNew = await place();
    await put(tooNew, 'outputs/metadata/FORMAT', '{"format":"image-storage","version":2,"storeId":"x"}');
    expect((await diagnose(tooNew)).store).toMatch(/^failed: .*layout 2.*use a newer one$/);
  });

  it('says that a daemon has the state open, and disturbs neither its lock nor its work', async () => {
    const main = await place();
    const flags = ['--config', await configFile({ main })];
    const daemon = await startDaemonProcess(await newFolder(), { flags });
    onTestFinished(() => void daemon.process.kill('SIGKILL'));
    const checks = await diagnose(main);
    if (process.platform === 'linux') {
      expect(checks.lock).toMatch(new RegExp(`^note: process ${daemon.process.pid} has the store open`));
    }
    expect(thoseThat('failed', checks)).toEqual([]);
    await expectToServe(daemon.address);
    await expectToBeLocked({ ...main, lockWaitSeconds: 0 });
    expect(await daemon.stop('SIGTERM')).toBe(0);
  });

  describe('with a CDN', () => {
    /** In front of the bucket `main`; `answer` is asked for each key below outputs/. */
    async function diagnoseBehind(answer: (key: string, bucket: S3Config) => Promise<Partial<Answer>>) {
      const main = await place();
      const cdnUrl = await listen(async (request, response) => {
        const { status = 200, type = '', body = '' } = await answer(request.url!.replace('/a-team/', ''), main);
        response.writeHead(status, { 'content-type': type }).end(body);
      });
      return diagnose({ ...main, cdnUrl });
    }

    interface Answer {
      status: number;
      type: string;
      body: Buffer | string;
    }

    const image = async (key: string, bucket: S3Config) => ({ type: 'image/png', body: await get(bucket, key) });

    it('fetches an image through it', async () => {
      const checks = await diagnoseBehind(async (key, bucket) =>
        key.startsWith('outputs/images/') ? image(key, bucket) : { status: 403 },
      );
      expect(checks.cdn).toMatch(
        /^ok: http:\/\/127\.0\.0\.1:\d+\/a-team\/outputs\/images\/doctor\/.+ answers 200 with the image$/,
      );
      expect(thoseThat('failed', checks)).toEqual([]);
      expect(thoseThat('note', checks)).not.toContain('privacy');
    });

    it.each<[string, RegExp, Partial<Answer>]>([
      ['refuses', /^failed: .* answers 403: let it read outputs\/images\/ .* cdnUrl$/, { status: 403 }],
      ['leads elsewhere', /^failed: .* answers 404: correct cdnUrl/, { status: 404 }],
      ['has a page for everything', /^failed: .* 200 with text\/html, not the image/, { type: 'text/html' }],
      ['changes images', /^note: .*changes images/, { type: 'image/webp', body: 'smaller' }],
    ])('names one that %s', async (_, message, answer) => {
      expect((await diagnoseBehind(async () => answer)).cdn).toMatch(message);
    });

    it('notes one that shows prompts to everybody', async () => {
      const checks = await diagnoseBehind(image);
      expect(checks.privacy).toMatch(/^note: .*outputs\/metadata\/.* is public: make only outputs\/images\/ public$/);
    });
  });

  it.each([
    { minutes: 0, verdict: 'ok', message: /agrees/ },
    { minutes: 1, verdict: 'note', message: /is \d\d s behind/ },
    { minutes: 10, verdict: 'failed', message: /is \d{3} s behind.*NTP/ },
  ])('$verdict: a clock that is $minutes minutes behind the service', async ({ minutes, verdict, message }) => {
    const endpoint = await listen((request, response) => {
      const date = new Date(Date.now() + minutes * 60_000).toUTCString();
      if (request.method === 'HEAD') response.setHeader('date', date);
      response.writeHead(404).end();
    });
    const { clock } = await diagnose(await place({ endpoint }));
    expect(clock).toMatch(new RegExp(`^${verdict}: .*${message.source}`));
  });

  const listen = (handler: RequestListener) => listening(createServer(handler));

  /** The URL of a server that lives as long as the test, as if it spoke HTTP. */
  async function listening(server: Server): Promise<string> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  }
});

describe('of an object store that', () => {
  const text = { contentType: 'text/plain' };

  it.each<[string, string, RegExp, (objects: ObjectStore, bucket: MemoryBucket) => Partial<ObjectStore>]>([
    [
      'ignores If-None-Match',
      'create',
      /ignores If-None-Match on Put/,
      (objects, bucket) => ({
        async putNew(key, ...rest) {
          bucket.delete(key);
          return objects.putNew(key, ...rest);
        },
      }),
    ],
    [
      'ignores If-Match',
      'overwrite',
      /ignores If-Match on Put/,
      (objects, bucket) => ({
        replaceIf: (key, body, headers) => objects.replaceIf(key, body, headers, bucket.get(key)!.etag),
      }),
    ],
    [
      'looks before it writes, but not while it does',
      'race',
      /of 8 writers at once 8 created the object.*atomic$/,
      (objects, bucket) => ({
        async putNew(key, ...rest) {
          if (bucket.has(key)) return objects.putNew(key, ...rest);
          await new Promise(setImmediate);
          bucket.delete(key);
          return objects.putNew(key, ...rest);
        },
      }),
    ],
    [
      'loses metadata',
      'get',
      /metadata of an object gets lost/,
      (objects) => ({ get: async (...args) => ({ ...(await objects.get(...args)), metadata: {} }) }),
    ],
    ['ignores ranges', 'get', /a part of an object/, (objects) => ({ get: (key) => objects.get(key) })],
    [
      'lists late',
      'list',
      /a new object is not listed at once/,
      () => ({ list: async () => ({ objects: [], more: false }) }),
    ],
    ['keeps what is deleted', 'delete', /a deleted object stays/, () => ({ remove: async () => {} })],
  ])('%s: %s fails and says so, and nothing else', async (_, name, message, fault) => {
    const bucket: MemoryBucket = new Map();
    const objects = memoryObjects(bucket);
    const checks = await byName(examineBucket({ objects: { ...objects, ...fault(objects, bucket) } }));
    expect(checks[name]).toMatch(message);
    expect(thoseThat('failed', checks)).toEqual([name]);
    expect([...bucket.keys()].every((key) => checks.delete!.includes(key))).toBe(true);
  });

  it('is well has nothing in it even where nobody waits for the end', async () => {
    const bucket: MemoryBucket = new Map();
    await memoryObjects(bucket).putNew('outputs/metadata/doctor/of-another', payloadOf('x'), text);
    for await (const { name } of examineBucket({ objects: memoryObjects(bucket) })) if (name === 'race') break;
    expect([...bucket.keys()]).toEqual(['outputs/metadata/doctor/of-another']);
  });
});

async function withObjects<T>(config: S3Config, work: (objects: ObjectStore) => Promise<T>): Promise<T> {
  const objects = s3Objects(config);
  return work(objects).finally(() => objects.close?.());
}

const contentsOf = (config: S3Config) =>
  withObjects(config, async (objects) => (await objects.list('')).objects.map(({ key }) => key));

const put = (config: S3Config, key: string, content: string) =>
  withObjects(config, (objects) => objects.putNew(key, payloadOf(content), { contentType: 'text/plain' }));

const get = (config: S3Config, key: string) =>
  withObjects(config, async (objects) => (await readSmall(objects, key))!.bytes);
