/** One port: every protocol on it, hosts and origins that are ours, health, and clients that misbehave. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { type Image, ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { loadConfig } from '../../src/config.ts';
import { startDaemon } from '../../src/daemon.ts';
import { protocolOf } from '../../src/http/first-bytes.ts';
import { nameOf } from '../../src/http/hosts.ts';
import { createLogger } from '../../src/logging.ts';
import { all, saveAt, upload } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { answerOf, ask, socketTo, talk } from './raw-http.ts';

const bytes = pngOf({ width: 64, height: 64, sizeBytes: 500_000 });
let daemon: RunningDaemon;
let image: Image;

beforeAll(async () => {
  daemon = await runDaemon({
    IMAGE_STORAGE_LIMITS_FIRST_MESSAGE_SECONDS: '1',
    IMAGE_STORAGE_HTTP_ALLOWED_HOSTS: 'images.internal',
    IMAGE_STORAGE_PUBLIC_URL: 'https://pictures.example:8443/art/',
  });
  image = await saveAt(daemon.address, bytes);
});
afterAll(() => daemon.close());

const pathOf = ({ url }: Image) => new URL(url).pathname.slice('/art'.length);
const read = (): string => `GET ${pathOf(image)} HTTP/1.1\r\nHost: localhost\r\n`;

describe('the same port', () => {
  const transports: [string, (baseUrl: string) => Transport][] = [
    ['gRPC over HTTP/2', (baseUrl) => createGrpcTransport({ baseUrl })],
    ['gRPC-Web over HTTP/2', (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: '2' })],
    ['gRPC-Web over HTTP/1.1', (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: '1.1' })],
    ['Connect over HTTP/2', (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '2' })],
    ['Connect over HTTP/1.1', (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '1.1' })],
    ['Connect with GET', (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '1.1', useHttpGet: true })],
  ];
  it.each(transports)('serves %s', async (_name, transport) => {
    const client = createClient(ImageStorage, transport(`http://${daemon.address}`));
    const { image: saved } = await client.save(upload(bytes));
    const [, ...parts] = await all(client.get({ filename: saved!.filename }));
    const got = Buffer.concat(parts.map(({ payload }) => payload.value as Uint8Array));
    expect(got.equals(bytes)).toBe(true);
    const { providers } = await client.stats({});
    expect(Number(providers[0]!.count)).toBeGreaterThan(1);
    await client.delete({ filenames: [saved!.filename] });
    await expect(all(client.get({ filename: saved!.filename }))).rejects.toThrow('not_found');
  });

  it('serves a Unix socket the same', async () => {
    const { status } = await ask(`unix:${daemon.socket}`, `HEAD ${pathOf(image)}`);
    expect(status).toBe(200);
  });

  it('serves images over HTTP/2, too', async () => {
    const session = connectHttp2(`http://${daemon.address}`);
    const request = session.request({ ':path': pathOf(image), range: 'bytes=1-' });
    const [headers] = await once(request, 'response');
    const got = await buffer(request);
    session.close();
    expect([headers[':status'], got.equals(bytes.subarray(1))]).toEqual([206, true]);
  });

  it('tells protocols by as few bytes as there are', () => {
    const told = ['P', 'PR', 'PRI', 'PRI ', 'PRI * HTTP/2.0', 'PU', 'PROPFIND', 'G', '\x16\x03'].map((text) =>
      protocolOf(Buffer.from(text)),
    );
    const http1 = 'http/1.1';
    expect(told).toEqual([undefined, undefined, undefined, 'h2', 'h2', http1, http1, http1, http1]);
  });

  it('takes a request and a preface that come byte by byte', async () => {
    const request = `${read()}Connection: close\r\n\r\n`;
    const heard = await talk(daemon.address, [...request.slice(0, 6), request.slice(6)]);
    expect(answerOf(heard).status).toBe(200);
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
    const settings = '\0\0\0\x04\0\0\0\0\0';
    const frames = await talk(daemon.address, [...preface.slice(0, 6), preface.slice(6) + settings], 300);
    // The type of the first frame: SETTINGS.
    expect(frames.charCodeAt(3)).toBe(4);
  });

  it('serves what is pipelined in its order', async () => {
    const requests = ['bytes=1-2', 'bytes=3-6', 'bytes=7-7'].map((range) => `${read()}Range: ${range}\r\n\r\n`);
    const heard = await talk(daemon.address, `${requests.join('')}${read()}Connection: close\r\n\r\n`);
    expect([...heard.matchAll(/content-range: bytes (\S+)\//g)].map(([, range]) => range)).toEqual([
      '1-2',
      '3-6',
      '7-7',
    ]);
    expect(heard.match(/HTTP\/1.1 20/g)).toHaveLength(4);
  });

  it('answers 404 where there is nothing', async () => {
    expect((await ask(daemon.address, 'GET /nothing')).status).toBe(404);
    expect((await ask(daemon.address, 'POST /imagestorage.v1.ImageStorage/Nothing')).status).toBe(404);
  });
});

describe('publicUrl', () => {
  it('is what URLs begin with, and its path may be asked for', async () => {
    expect(image.url).toBe(`https://pictures.example:8443/art/${image.key}`);
    const asked = [`/art/${image.key}`, `/${image.key}`, `/other/${image.key}`, `/art/art/${image.key}`];
    const answers = await Promise.all(asked.map((path) => ask(daemon.address, `HEAD ${path}`)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 404]);
  });
});

describe('a host', () => {
  const ours = [
    'localhost',
    'LOCALHOST:50051',
    'a.localhost',
    '127.0.0.1:80',
    '192.168.7.7',
    '[::1]:50051',
    hostname(),
  ];
  const named = ['images.internal', 'images.internal.:1', 'pictures.example', `${hostname()}.local`];
  it.each([...ours, ...named])('%s is ours', async (host) => {
    expect((await ask(daemon.address, `HEAD ${pathOf(image)}`, `Host: ${host}`)).status).toBe(200);
  });

  it.each(['evil', 'evil.example', 'localhost.evil.example', '127.0.0.1.nip.io', 'images.internal.evil', 'a%2Fb'])(
    '%s is not, and the answer names it and the setting',
    async (host) => {
      const { status, headers, body } = await ask(daemon.address, `GET ${pathOf(image)}`, `Host: ${host}`);
      expect([status, headers['cache-control']]).toEqual([403, 'no-store']);
      expect(JSON.parse(body)).toMatchObject({ code: 'permission_denied', reason: 'HOST_NOT_ALLOWED' });
      expect(JSON.parse(body).message).toContain(`"${host}"`);
      expect(JSON.parse(body).message).toContain('http.allowedHosts');
    },
  );

  it('of a whole URL counts, too', async () => {
    const statusOf = async (url: string, host: string) =>
      (await ask(daemon.address, `HEAD ${url}`, `Host: ${host}`)).status;
    const path = pathOf(image);
    expect(await statusOf(`http://localhost:1${path}`, 'localhost')).toBe(200);
    expect(await statusOf(`http://evil${path}`, 'localhost')).toBe(403);
    expect(await statusOf(`http://localhost${path}`, 'evil')).toBe(403);
  });

  it('that is foreign is refused to Connect and gRPC-Web, too, and free for gRPC and health', async () => {
    const rpc = 'POST /imagestorage.v1.ImageStorage/Stats';
    for (const type of ['application/json', 'application/grpc-web+proto', 'application/grpc']) {
      const { status } = await ask(daemon.address, rpc, 'Host: evil', `Content-Type: ${type}`, 'Content-Length: 0');
      expect(status).toBe(403);
    }
    expect((await ask(daemon.address, 'GET /healthz', 'Host: evil')).status).toBe(200);
  });

  it('is told from port, brackets and case', () => {
    expect(['A.b:1', '[::1]:5', 'c.', '[::1', 'a:b:c'].map(nameOf)).toEqual(['a.b', '::1', 'c', '[::1', 'a:b:c']);
  });
});

describe('a page of another site', () => {
  const rpc = (...headers: string[]) =>
    ask(
      daemon.address,
      'POST /imagestorage.v1.ImageStorage/Stats',
      'Content-Type: application/json',
      'Content-Length: 2',
      ...headers,
    );
  it.each([
    ['Sec-Fetch-Site: cross-site', 403],
    ['Sec-Fetch-Site: same-site', 403],
    ['Sec-Fetch-Site: none', 403],
    ['Origin: http://evil.example', 403],
    ['Origin: null', 403],
    ['Origin: http://localhost:8188', 403],
    ['Sec-Fetch-Site: same-origin', 200],
    ['Origin: http://localhost', 200],
    ['Origin: https://pictures.example:8443', 200],
    ['X-Nothing: 1', 200],
  ])('with %s is answered %i', async (header, status) => {
    const text = await talk(
      daemon.address,
      `POST /imagestorage.v1.ImageStorage/Stats HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n${header}\r\n\r\n{}`,
    );
    expect(answerOf(text).status).toBe(status);
    if (status === 403) expect((await rpc(header)).status).toBe(403);
  });
});

describe('health', () => {
  it('is told over plain HTTP', async () => {
    const alive = await fetch(`http://${daemon.address}/healthz`);
    expect([alive.status, await alive.json()]).toEqual([200, { status: 'SERVING' }]);
    const ready = await fetch(`http://${daemon.address}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'SERVING', providers: { local: 'SERVING' } }]);
    expect((await ask(daemon.address, 'POST /healthz')).status).toBe(404);
  });

  it('has an address of its own, with nothing else, which still answers while the daemon goes', async () => {
    const basePath = await mkdtemp(join(tmpdir(), 'image-storage-ops-'));
    const flags = { listen: ['127.0.0.1:0'], basePath, logLevel: 'silent' };
    const env = { IMAGE_STORAGE_OPS_LISTEN: '127.0.0.1:0', IMAGE_STORAGE_SHUTDOWN_DELAY_SECONDS: '0.5' };
    const config = loadConfig({ flags, env });
    const other = await startDaemon(config, createLogger(config.log));
    const [ops] = other.opsAddresses as [string];
    const statusOf = async (path: string) => (await ask(ops, `GET ${path}`, 'Host: evil')).status;
    expect(await Promise.all(['/healthz', '/readyz', '/images', '/outputs/x'].map(statusOf))).toEqual([
      200, 200, 404, 404,
    ]);
    const { check } = createClient(Health, createGrpcTransport({ baseUrl: `http://${ops}` }));
    expect((await check({})).status).toBe(Status.SERVING);
    const closing = other.close();
    await sleep(100);
    expect(await Promise.all(['/healthz', '/readyz'].map(statusOf))).toEqual([200, 503]);
    await closing;
    await rm(basePath, { recursive: true });
  });
});

describe('a client that', () => {
  it('says nothing is cut', async () => {
    const socket = socketTo(daemon.address);
    const started = performance.now();
    await once(socket, 'close');
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  it('sends its headers slowly is told so, and cut', async () => {
    const heard = await talk(daemon.address, 'GET / HTTP/1.1\r\nHost: ');
    expect(answerOf(heard)).toMatchObject({ status: 408, headers: { connection: 'close' } });
  });

  it('sends 100 kB of headers is told so, and cut', async () => {
    const heard = await talk(
      daemon.address,
      `GET / HTTP/1.1\r\nHost: localhost\r\nX-Much: ${'x'.repeat(100_000)}\r\n\r\n`,
    );
    expect(answerOf(heard)).toMatchObject({ status: 431, headers: { connection: 'close' } });
  });

  it('sends what is no HTTP is told so, and cut', async () => {
    const heard = await talk(daemon.address, '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03');
    expect(answerOf(heard).status).toBe(400);
  });

  it.each(['Content-Length: 5\r\nTransfer-Encoding: chunked', 'Content-Length: 5\r\nContent-Length: 6'])(
    'says two lengths (%s) is cut',
    async (headers) => {
      const heard = await talk(daemon.address, `POST /images HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n`);
      expect(answerOf(heard).status).toBe(400);
    },
  );

  it('never sends the body of a call is cut', async () => {
    const heard = await talk(
      daemon.address,
      'POST /imagestorage.v1.ImageStorage/Stats HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n',
    );
    expect(heard).toBe('');
  });

  it('sends a body where none is read has its answer, and is cut', async () => {
    const started = performance.now();
    const heard = await talk(daemon.address, `${read()}Content-Length: 1000000\r\n\r\n`);
    expect(answerOf(heard).status).toBe(200);
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  it('pipelines by the hundred is cut', async () => {
    const heard = await talk(daemon.address, `${read()}\r\n`.repeat(200));
    expect((heard.match(/HTTP\/1.1 200/g) ?? []).length).toBeLessThan(100);
  });
});
