/** How a daemon presents itself and how it goes: health, reflection, its sockets, and calls that run when it closes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, createFileRegistry, type DescService, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { ConnectError, createClient } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ServerReflectionAlpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { GetRequestSchema, ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { Maintenance } from '../../gen/imagestorage/v1/maintenance_pb.ts';
import { type Environment, loadConfig } from '../../src/config.ts';
import { type Daemon, startDaemon } from '../../src/daemon.ts';
import { createLogger } from '../../src/logging.ts';
import { OPENING } from '../attack/frames.ts';
import { startDaemonProcess } from '../support/daemon-process.ts';
import { filesBelow } from '../support/files.ts';
import { all, chunk, framed, header, outcomeOf, saveAt, storageAt, transportTo, upload } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';

const png = pngOf({ width: 16, height: 16, sizeBytes: 100_000 });

let folder: string;
let daemon: Daemon | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
});
afterEach(async () => {
  await daemon?.close();
  daemon = undefined;
  await rm(folder, { recursive: true });
});

/** Starts the daemon and returns the first address it listens on. */
async function start(listen = '127.0.0.1:0', env: Environment = {}): Promise<string> {
  const flags = { listen: [listen], basePath: join(folder, 'outputs'), logLevel: 'silent' };
  const config = loadConfig({ flags, env });
  daemon = await startDaemon(config, createLogger(config.log));
  return daemon.addresses[0]!;
}

/** A Save that goes on when it is told to. */
async function beginSave(address: string) {
  const { promise: goOn, resolve: finish } = Promise.withResolvers<void>();
  const requests = (async function* () {
    yield header();
    yield chunk(png.subarray(0, 50_000));
    await goOn;
    yield chunk(png.subarray(50_000));
  })();
  const saved = outcomeOf(storageAt(address).save(requests));
  await untilSomethingIsStaged();
  return { finish, saved };
}

async function untilSomethingIsStaged(): Promise<void> {
  while ((await filesBelow(join(folder, 'outputs'), 'metadata/staging')).length === 0) await sleep(5);
}

describe('health', () => {
  it('says for the daemon, its service and its provider that it serves', async () => {
    const health = createClient(Health, transportTo(await start()));
    expect(await health.check({})).toMatchObject({ status: Status.SERVING });
    const services = [ImageStorage.typeName, `${ImageStorage.typeName}/local`];
    for (const service of services) expect(await health.check({ service })).toMatchObject({ status: Status.SERVING });
    expect(await outcomeOf(health.check({ service: 'other' }))).toBe('NotFound');
    expect(Object.keys((await health.list({})).statuses)).toEqual(['', ...services]);
  });

  it('tells of a provider that is down, which takes down only its own calls', async () => {
    const archive = join(folder, 'archive');
    const address = await start('127.0.0.1:0', {
      IMAGE_STORAGE_PROVIDERS_ARCHIVE_TYPE: 'local',
      IMAGE_STORAGE_PROVIDERS_ARCHIVE_BASE_PATH: archive,
    });
    await rm(join(archive, 'metadata/FORMAT'));
    const saveTo = (provider: string) => outcomeOf(storageAt(address).save(upload(png, { provider })));
    expect(await saveTo('archive')).toBe('FailedPrecondition STORE_REPLACED');
    expect(await saveTo('local')).toBe('OK');
    const health = createClient(Health, transportTo(address));
    const statusOf = async (service: string) => (await health.check({ service })).status;
    expect(await statusOf(`${ImageStorage.typeName}/archive`)).toBe(Status.NOT_SERVING);
    expect(await statusOf(`${ImageStorage.typeName}/local`)).toBe(Status.SERVING);
    expect(await statusOf('')).toBe(Status.SERVING);
  });

  it('tells those who watch that the daemon goes, and lets them go', async () => {
    const health = createClient(Health, transportTo(await start()));
    const watched = health.watch({})[Symbol.asyncIterator]();
    const unknown = health.watch({ service: 'other' })[Symbol.asyncIterator]();
    expect((await watched.next()).value).toMatchObject({ status: Status.SERVING });
    expect((await unknown.next()).value).toMatchObject({ status: Status.SERVICE_UNKNOWN });
    const closing = daemon!.close();
    expect((await watched.next()).value).toMatchObject({ status: Status.NOT_SERVING });
    expect((await watched.next()).done).toBe(true);
    expect((await unknown.next()).done).toBe(true);
    await closing;
  });
});

describe('reflection', () => {
  type Question = { case: 'listServices' | 'fileContainingSymbol' | 'fileByFilename'; value: string };

  async function ask(address: string, service: DescService, ...questions: Question[]) {
    const client = createClient(service as typeof ServerReflection, transportTo(address));
    const requests = (async function* () {
      for (const messageRequest of questions) yield { messageRequest };
    })();
    return (await all(client.serverReflectionInfo(requests))).map(({ messageResponse }) => messageResponse);
  }

  it.each([ServerReflection, ServerReflectionAlpha])('%s describes every service', async (service) => {
    const address = await start();
    const [listed, described, missing] = await ask(
      address,
      service,
      { case: 'listServices', value: '*' },
      { case: 'fileContainingSymbol', value: 'imagestorage.v1.ImageStorage.Save' },
      { case: 'fileByFilename', value: 'nothing.proto' },
    );
    expect(listed).toMatchObject({
      value: {
        service: [ImageStorage, Maintenance, Health, ServerReflection, ServerReflectionAlpha].map(({ typeName }) => ({
          name: typeName,
        })),
      },
    });
    if (described?.case !== 'fileDescriptorResponse') throw new Error('no file was sent');
    const file = described.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    // Dependencies first, as a FileDescriptorSet wants them.
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: file.reverse() }));
    expect(registry.getService(ImageStorage.typeName)?.methods.map(({ name }) => name)).toContain('Save');
    expect(missing).toMatchObject({ case: 'errorResponse', value: { errorCode: 5 } });
  });

  it('is not there for other machines', async () => {
    const address = await start('0.0.0.0:0', { IMAGE_STORAGE_INSECURE: 'true' });
    const question: Question = { case: 'listServices', value: '*' };
    const local = address.replace('0.0.0.0', '127.0.0.1');
    expect(await outcomeOf(ask(local, ServerReflection, question))).toBe('Unimplemented');
  });
});

describe('a Unix socket', () => {
  it('is for the user of the daemon alone, and goes with it', async () => {
    const path = join(folder, 'socket');
    const address = await start(`unix:${path}`);
    expect(await outcomeOf(storageAt(address).save(upload(png)))).toBe('OK');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await daemon!.close();
    expect(existsSync(path)).toBe(false);
  });

  it('can be opened to a group', async () => {
    const path = join(folder, 'socket');
    await start(`unix:${path}`, { IMAGE_STORAGE_SOCKET_MODE: '0660' });
    expect((await stat(path)).mode & 0o777).toBe(0o660);
  });

  it('replaces one that a killed process left behind, but none that is in use, nor a file', async () => {
    const path = join(folder, 'socket');
    const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('listening'))`;
    const other = spawn(process.execPath, ['--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(other.stdout, 'data');
    await expect(start(`unix:${path}`)).rejects.toThrow(`cannot listen on unix:${path}: another process listens there`);
    other.kill('SIGKILL');
    await once(other, 'exit');
    expect(await start(`unix:${path}`)).toBe(`unix:${path}`);
    await daemon!.close();
    await writeFile(path, 'precious');
    await expect(start(`unix:${path}`)).rejects.toThrow('a file that is not a socket is in the way');
  });
});

it('listens on IPv6, and lets go of the store when it cannot listen', async () => {
  const taken = await start('[::1]:0');
  expect(await outcomeOf(storageAt(taken).stats({}))).toBe('OK');
  const first = daemon!;
  const flags = { listen: [taken], basePath: join(folder, 'other'), logLevel: 'silent' };
  const config = loadConfig({ flags });
  const log = createLogger(config.log);
  await expect(startDaemon(config, log)).rejects.toThrow(`cannot listen on ${taken}: listen EADDRINUSE`);
  await first.close();
  daemon = await startDaemon(config, log);
});

describe('a daemon that closes', () => {
  it('lets a Save finish, and takes no other', async () => {
    const address = await start();
    const { finish, saved } = await beginSave(address);
    const closing = daemon!.close();
    expect(await outcomeOf(storageAt(address).stats({}))).toBe('Unavailable');
    finish();
    expect(await saved).toBe('OK');
    await closing;
    const again = await start();
    expect((await storageAt(again).stats({})).providers[0]!.count).toBe(1n);
  });

  it('cuts a Save that does not finish within the grace, and keeps nothing of it', async () => {
    const address = await start('127.0.0.1:0', { IMAGE_STORAGE_SHUTDOWN_GRACE_SECONDS: '0.2' });
    const { finish, saved } = await beginSave(address);
    await daemon!.close();
    expect(await saved).not.toBe('OK');
    finish();
    const again = await start();
    expect((await storageAt(again).stats({})).providers[0]!.count).toBe(0n);
  });

  it('does not wait for a client that has no call under way and never closes its connection', async () => {
    const address = await start('127.0.0.1:0', { IMAGE_STORAGE_SHUTDOWN_GRACE_SECONDS: '3600' });
    const { hostname, port } = new URL(`http://${address}`);
    const socket = connectSocket({ host: hostname, port: Number(port), allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {}).write(OPENING);
    await once(socket, 'data');
    await daemon!.close();
    expect(daemon!.addresses).toEqual([address]);
  });
});

it('sends a Save away, to come again, that waits too long for its turn', async () => {
  const address = await start('127.0.0.1:0', {
    IMAGE_STORAGE_LIMITS_MAX_SAVES: '1',
    // Sooner than a second, after which the other, which stands still, would be ended for it.
    IMAGE_STORAGE_LIMITS_FIRST_MESSAGE_SECONDS: '0.8',
  });
  const { finish, saved } = await beginSave(address);
  const refused = await storageAt(address).save(upload(png)).then(String, ConnectError.from);
  if (typeof refused === 'string') throw new Error('two saves ran at once');
  expect(await outcomeOf(Promise.reject(refused))).toBe('ResourceExhausted TOO_MANY_SAVES');
  expect(refused.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 1n } }]);
  finish();
  expect(await saved).toBe('OK');
  expect(await outcomeOf(storageAt(address).save(upload(png)))).toBe('OK');
});

describe('receive windows', () => {
  const untilWindow = async (session: ClientHttp2Session, accepts: (bytes: number) => boolean) => {
    while (!accepts(session.remoteSettings.initialWindowSize!)) await once(session, 'remoteSettings');
  };
  /** Without a request they stay open. */
  const openCalls = (session: ClientHttp2Session, count: number, method: string, request?: Uint8Array) =>
    Array.from({ length: count }, () => {
      const path = `/imagestorage.v1.ImageStorage/${method}`;
      const fields = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc' };
      const call = session.request(fields, { endStream: false }).on('error', () => {});
      return request === undefined ? call : call.end(request);
    });

  it('are smaller the more streams there are', async () => {
    const session = connectHttp2(`http://${await start()}`);
    await once(session, 'remoteSettings');
    const alone = session.remoteSettings.initialWindowSize!;
    const calls = openCalls(session, 200, 'Save');
    await untilWindow(session, (bytes) => bytes <= alone / 16);
    expect(session.remoteSettings.initialWindowSize).toBeGreaterThan(0);
    for (const call of calls) call.close();
    await untilWindow(session, (bytes) => bytes >= alone);
    expect(session.remoteSettings.initialWindowSize).toBe(alone);
    session.destroy();
  });

  it.each(['Get', 'Save'])('survive a connection that is reset with many a %s in flight', async (method) => {
    const other = await startDaemonProcess(join(folder, 'outputs'));
    onTestFinished(() => void other.process.kill('SIGKILL'));
    const { filename } = await saveAt(other.address, pngOf({ width: 16, height: 16, sizeBytes: 4 << 20 }));
    // Nobody reads the images, which are larger than the client's windows.
    const request = framed(toBinary(GetRequestSchema, create(GetRequestSchema, { filename })));
    const [host, port] = other.address.split(':');
    const socket = connectSocket(Number(port), host);
    const doomed = connectHttp2('http://localhost', { createConnection: () => socket }).on('error', () => {});
    await once(doomed, 'remoteSettings');
    const alone = doomed.remoteSettings.initialWindowSize!;
    openCalls(doomed, 32, method, method === 'Get' ? request : undefined);
    await untilWindow(doomed, (bytes) => bytes <= alone / 8);
    socket.resetAndDestroy();

    const session = connectHttp2(`http://${other.address}`);
    await once(session, 'remoteSettings');
    // Not all of it: the connection that saved is still there.
    await untilWindow(session, (bytes) => bytes >= alone / 2);
    session.destroy();
    expect(await createClient(Health, transportTo(other.address)).check({})).toMatchObject({ status: Status.SERVING });
    expect(await other.stop('SIGTERM')).toBe(0);
  });
});
