/** A provider that cannot be opened at the start: the daemon says why and ends, or does without it until it can. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { ConnectError, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { createStorage, type S3Config } from '../../src/storage/index.ts';
import { openLocalStorage } from '../../src/storage/providers/local-storage.ts';
import { contextOf } from '../support/bucket.ts';
import { COMMAND } from '../support/command.ts';
import { startDaemonProcess } from '../support/daemon-process.ts';
import { outcomeOf, storageAt, transportTo, upload } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { startS3FaultServer } from '../support/s3-fault-server.ts';
import { errorAnswer } from '../support/s3-protocol.ts';
import { type S3Server, startVersitygw, versitygwAvailable } from '../support/versitygw.ts';

const BUILD_TIMEOUT_MS = 600_000;
const PNG = pngOf({ width: 8, height: 8 });
const FOX = { prompt: 'a red fox', model: 'flux-schnell' };

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Accepts connections and never answers. */
async function silentEndpoint(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

/** A file for `--config` with this bucket, beside the folder that `--base-path` names. */
async function configOf(folder: string, s3: Partial<S3Config>, defaultProvider = 'local'): Promise<string> {
  const file = join(folder, 'image-storage.yaml');
  const providers = { s3: { ...s3, stateDir: join(folder, 'state') } };
  // Without a grace, a close that takes more than a few seconds shows in the exit code.
  await writeFile(file, JSON.stringify({ defaultProvider, providers, shutdownGraceSeconds: 0 }));
  return file;
}

async function startWith(s3: Partial<S3Config>, defaultProvider?: string) {
  const folder = await newFolder();
  const config = await configOf(folder, { ...s3, required: false }, defaultProvider);
  const flags = ['--config', config, '--log-level', 'trace'];
  const daemon = await startDaemonProcess(join(folder, 'outputs'), { flags, stderr: 'pipe' });
  onTestFinished(() => void daemon.process.kill('SIGKILL'));
  const log = text(daemon.process.stderr!);
  const health = createClient(Health, transportTo(daemon.address));
  return {
    ...daemon,
    log,
    storage: storageAt(daemon.address),
    save: (provider = '') => outcomeOf(storageAt(daemon.address).save(upload(PNG, { provider }))),
    statusOf: async (provider: string) =>
      (await health.check({ service: provider && `${ImageStorage.typeName}/${provider}` })).status,
  };
}

async function createBucket({ settings }: S3Server, name: string): Promise<void> {
  const { endpoint, region, accessKey = '', secretKey = '' } = settings;
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: name }));
  client.destroy();
}

/** What a daemon that needs the bucket says, and its exit code. */
async function refusal(s3: Partial<S3Config>): Promise<{ code: number; stderr: string }> {
  const folder = await newFolder();
  const args = ['--config', await configOf(folder, s3), '--base-path', join(folder, 'outputs'), '--log-level', 'trace'];
  const child = spawn(process.execPath, [COMMAND, 'serve', '--listen', '127.0.0.1:0', ...args]);
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  return { code, stderr };
}

requires('Go, to build the S3 server versitygw', versitygwAvailable)('a bucket', () => {
  let server: S3Server;
  let bucket: string;

  beforeAll(async () => {
    server = await startVersitygw();
    bucket = await server.createBucket();
  }, BUILD_TIMEOUT_MS);
  afterAll(() => server.stop());

  /** What is set wrong, the setting that must be named, and how a Save into the bucket ends. */
  const CASES: [string, () => Partial<S3Config> | Promise<Partial<S3Config>>, RegExp, string, number?][] = [
    ['a wrong secret', () => ({ secretKey: 'xylophone-guess' }), /\(secretKey\)/, 'FailedPrecondition BACKEND_AUTH'],
    ['an unknown key', () => ({ accessKey: 'nobody' }), /\(accessKey\)/, 'FailedPrecondition BACKEND_AUTH'],
    ['no permission', strangerInABucket, /\(accessKey, or the policy/, 'FailedPrecondition BACKEND_AUTH'],
    ['no such bucket', () => ({ bucket: 'nowhere' }), /\(bucket\)/, 'Unavailable BACKEND_UNAVAILABLE'],
    ['nobody there', () => ({ endpoint: 'http://127.0.0.1:9' }), /\(endpoint\)/, 'Unavailable BACKEND_UNAVAILABLE', 69],
  ];

  async function strangerInABucket(): Promise<Partial<S3Config>> {
    const bucket = await server.createBucket();
    return { bucket, ...(await server.createUser(bucket, [])) };
  }

  it.each(CASES)(
    'with %s ends a daemon that needs it, and names the setting',
    async (_, wrong, setting, __, exit = 78) => {
      const s3 = { ...server.settings, bucket, ...(await wrong()) };
      const { code, stderr } = await refusal(s3);
      expect(code).toBe(exit);
      expect(stderr).toMatch(/^image-storage: providers\.s3: /m);
      expect(stderr).toMatch(setting);
      expect(stderr).not.toContain(s3.secretKey);
    },
  );

  it.each(CASES)(
    'with %s leaves the other providers of a daemon that does without it',
    async (_, wrong, setting, told) => {
      const s3 = { ...server.settings, bucket, ...(await wrong()) };
      const daemon = await startWith(s3);
      const everywhere = { provider: '*' };
      const refusal = async () => {
        const cleanup = daemon.storage.cleanup({ ...everywhere, keepCount: 0 });
        return ConnectError.from(await cleanup.catch((thrown) => thrown));
      };
      // Its first attempt may still be under way, of which nothing more is known.
      while ((await refusal()).rawMessage.includes('still being opened')) await sleep(50);
      expect(await daemon.save('s3')).toBe(told);
      expect(await daemon.save()).toBe('OK');
      for (const call of [daemon.storage.list(everywhere), daemon.storage.stats(everywhere)]) {
        expect(await outcomeOf(call)).toBe('Unavailable BACKEND_UNAVAILABLE');
      }
      const error = await refusal();
      expect(error.rawMessage).toMatch(/^s3: /);
      expect((await daemon.storage.stats({})).providers[0]!.count).toBe(1n);
      expect(await daemon.statusOf('s3')).toBe(Status.NOT_SERVING);
      expect(await daemon.statusOf('local')).toBe(Status.SERVING);
      expect(await daemon.statusOf('')).toBe(Status.SERVING);
      expect(await daemon.stop('SIGTERM')).toBe(0);
      const log = await daemon.log;
      expect(log).toMatch(/providers\.s3: /);
      expect(log).toMatch(setting);
      for (const text of [log, error.rawMessage]) expect(text).not.toContain(s3.secretKey);
      expect(error.rawMessage).not.toMatch(/127\.0\.0\.1|bucket-/);
      expect(error.rawMessage).not.toContain(tmpdir());
    },
  );

  it('that is the default serves once it is there, without a restart', async () => {
    const daemon = await startWith({ ...server.settings, bucket: 'late' }, 's3');
    expect(await daemon.save()).toBe('Unavailable BACKEND_UNAVAILABLE');
    expect(await daemon.statusOf('')).toBe(Status.NOT_SERVING);
    await createBucket(server, 'late');
    while ((await daemon.save()) !== 'OK') await sleep(100);
    expect(await daemon.statusOf('')).toBe(Status.SERVING);
    expect((await daemon.storage.stats({ provider: '*' })).providers.map(({ count }) => count)).toEqual([1n, 0n]);
    expect(await daemon.stop('SIGTERM')).toBe(0);
    // One line each, whatever the number of attempts.
    expect((await daemon.log).match(/there is no such bucket[^\n]*tried again/g)).toHaveLength(1);
    expect((await daemon.log).match(/the provider is open now/g)).toHaveLength(1);
  });
});

it('a bucket that never answers is given up at the start, and named', async () => {
  const s3 = { bucket: 'images', region: 'auto', accessKey: 'id', secretKey: 'xylophone' };
  const { code, stderr } = await refusal({ ...s3, endpoint: await silentEndpoint() });
  expect(code).toBe(69);
  expect(stderr).toMatch(/providers\.s3: .*\(endpoint\)/);
  expect(stderr).toContain('waited for GET outputs/metadata/FORMAT');
  expect(stderr).not.toContain('xylophone');
});

it('a bucket that throttles at the start is tried, and then said to be unavailable', async () => {
  await using server = await startS3FaultServer();
  server.refuse = () => errorAnswer(503, 'SlowDown', { message: 'Please reduce your request rate.' });
  const { code, stderr } = await refusal(server.settings);
  expect(code).toBe(69);
  expect(stderr).toContain('; the service answered 503 SlowDown: Please reduce your request rate.');
});

it('a daemon ends clean although a bucket that it does without has yet to answer', async () => {
  const s3 = { bucket: 'images', region: 'auto', accessKey: 'id', secretKey: 'key' };
  const daemon = await startWith({ ...s3, endpoint: await silentEndpoint() });
  expect(await daemon.save()).toBe('OK');
  expect(await daemon.save('s3')).toBe('Unavailable BACKEND_UNAVAILABLE');
  expect(await daemon.stop('SIGTERM')).toBe(0);
});

it('a folder that cannot be used takes down only its own calls, and is opened once it can', async () => {
  const folder = await newFolder();
  const inTheWay = join(folder, 'archive');
  await writeFile(inTheWay, '');
  const archive = { type: 'local' as const, basePath: inTheWay, required: false };
  const storage = await createStorage({ providers: { local: { basePath: join(folder, 'outputs') }, archive } });
  onTestFinished(() => storage.close());
  const down = { code: 'unavailable', reason: 'BACKEND_UNAVAILABLE', message: expect.stringContaining('archive') };
  const provider = 'archive';
  for (const call of [
    storage.save(PNG, FOX, { provider }),
    storage.get('x.png', { provider }),
    storage.delete('x.png', { provider }),
    storage.list({ provider }),
    storage.cleanup({ provider, keepCount: 0 }),
    storage.getStatistics(provider),
  ]) {
    await expect(call).rejects.toMatchObject(down);
  }
  expect(storage.health()).toEqual({ local: { serving: true }, archive: { serving: false, why: expect.anything() } });
  expect(JSON.stringify(storage.health())).not.toContain(folder);
  expect(await storage.save(PNG, FOX)).toMatchObject({ provider: 'local' });
  await rm(inTheWay);
  while (!storage.health().archive!.serving) await sleep(50);
  expect(await storage.save(PNG, FOX, { provider })).toMatchObject({ provider: 'archive' });
  expect(await storage.list({ provider: '*' })).toHaveLength(2);
});

it('a storage closes while it waits for a folder that another process has, and takes it no more', async () => {
  const basePath = await newFolder();
  const holder = await createStorage({ providers: { local: { basePath } } });
  const local = { basePath, required: false, lockWaitSeconds: 3600 };
  const waiting = await createStorage({ providers: { local } });
  await waiting.close();
  await expect(waiting.save(PNG, FOX)).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE' });
  await holder.close();
  const next = await createStorage({ providers: { local: { basePath, lockWaitSeconds: 0 } } });
  expect(await next.save(PNG, FOX)).toMatchObject({ provider: 'local' });
  await next.close();
});

it('a folder whose catalog is being built is let go of when nobody waits for it, and the next start builds it', async () => {
  const config = { type: 'local', basePath: await newFolder() } as const;
  const first = await openLocalStorage(config, contextOf());
  await first.save(PNG, FOX);
  await first.close();
  await rm(join(config.basePath, 'metadata/catalog.db'));
  const controller = new AbortController();
  const failpoint = (step: string) => step === 'format-read' && controller.abort();
  const opening = openLocalStorage(config, contextOf({ signal: controller.signal, failpoint }));
  await expect(opening).rejects.toMatchObject({ name: 'StoreOpenError' });
  expect(await readdir(join(config.basePath, 'metadata'))).not.toContain('catalog.db');
  const next = await openLocalStorage(config, contextOf());
  expect(await next.list()).toHaveLength(1);
  await next.close();
});

it('a required folder that cannot be used leaves nothing open', async () => {
  const folder = await newFolder();
  await writeFile(join(folder, 'b'), '');
  const [a, b] = ['a', 'b'].map((name) => ({
    type: 'local' as const,
    basePath: join(folder, name),
    lockWaitSeconds: 0,
  }));
  const open = () => createStorage({ defaultProvider: 'a', providers: { a: a!, b: b! } });
  const refused = {
    name: 'StoreOpenError',
    kind: 'config',
    message: expect.stringMatching(/^providers\.b: .*not a folder/),
  };
  await expect(open()).rejects.toMatchObject(refused);
  await rm(join(folder, 'b'));
  await mkdir(join(folder, 'b'));
  const storage = await open();
  expect(storage.health()).toEqual({ a: { serving: true }, b: { serving: true } });
  await storage.close();
});
