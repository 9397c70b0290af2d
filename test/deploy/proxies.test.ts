/** The examples of nginx and Caddy in front of a daemon: real programs with these very files, but for names and paths. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request as requestHttps } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { connect, type ImageStorageClient, type SavedImage } from '../../src/client.ts';
import { type Certificate, createCa, createCertificate } from '../access/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { all, chunk, header, outcomeOf, upload } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { caddy, nginx, type ReverseProxy } from '../support/proxies.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { full } from '../support/scale.ts';

const MIB = 1 << 20;
const UPLOAD_BYTES = (full ? 200 : 24) * MIB;
/** More than nginx takes by itself. */
const medium = pngOf({ width: 64, height: 64, sizeBytes: 3 * MIB, seed: 2 });
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'image-storage-proxies-'));
let ca: Certificate;
let server: Certificate;

interface Place {
  port: number;
  daemon: string;
}

interface Example {
  proxy: ReverseProxy;
  root: (place: Place) => string;
  below: (place: Place) => string;
}

const exampleAt = (path: string) => readFileSync(new URL(`../../examples/${path}`, import.meta.url), 'utf8');

/** Replaces each, which must be there. */
function replaced(text: string, pairs: [from: string | RegExp, to: string][]): string {
  return pairs.reduce((before, [from, to]) => {
    expect(before).toMatch(from);
    return before.replaceAll(from, to);
  }, text);
}

const ofNginx =
  (path: string) =>
  ({ port, daemon }: Place) =>
    replaced(exampleAt(path), [
      ['127.0.0.1:50051', daemon],
      ['listen 443', `listen 127.0.0.1:${port}`],
      [/server_name .*;/g, 'server_name localhost;'],
      [/\/etc\/nginx\/tls\/\S+\.crt/g, server.cert],
      [/\/etc\/nginx\/tls\/\S+\.key/g, server.key],
    ]);
const ofCaddy =
  (path: string) =>
  ({ port, daemon }: Place) =>
    replaced(exampleAt(path), [
      ['127.0.0.1:50051', daemon],
      [/^\S*example\.com \{/gm, `https://localhost:${port} {\n\ttls ${server.cert} ${server.key}`],
    ]);

const EXAMPLES: Example[] = [
  { proxy: nginx, root: ofNginx('nginx/image-storage.conf'), below: ofNginx('nginx/below-a-path.conf') },
  { proxy: caddy, root: ofCaddy('caddy/Caddyfile'), below: ofCaddy('caddy/below-a-path.Caddyfile') },
];

beforeAll(() => {
  if (!hasOpenssl) return;
  ca = createCa(folder, 'ca');
  server = createCertificate(folder, 'server', ca);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(EXAMPLES)('behind $proxy.name', ({ proxy, root, below }) => {
  requires(`${proxy.name} and openssl`, proxy.available && hasOpenssl)('the example', () => {
    const token = newToken();
    const running = new AsyncDisposableStack();
    const lines: Record<string, unknown>[] = [];
    const note = (fields: object) => void lines.push({ ...fields });
    const log = { debug: note, info: note, warn: note, error: note };
    let origin: string;
    let daemon: RunningDaemon;
    let client: ImageStorageClient;
    const bytes = pngOf({ width: 64, height: 64, sizeBytes: UPLOAD_BYTES });
    const small = pngOf({ width: 64, height: 64, sizeBytes: 500_000 });
    let image: SavedImage;

    beforeAll(async () => {
      const port = await freePort();
      origin = `https://localhost:${port}`;
      const settings = {
        IMAGE_STORAGE_AUTH_TOKENS: tokenLine('test', token, ['read', 'write']),
        IMAGE_STORAGE_PUBLIC_URL: origin,
        IMAGE_STORAGE_HTTP_TRUSTED_PROXIES: '127.0.0.1',
      };
      daemon = await runDaemon(settings, { log });
      running.defer(daemon.close);
      const own = join(folder, `${proxy.name}-root`);
      mkdirSync(own);
      const config = root({ port, daemon: daemon.address });
      await proxy.check(own, config);
      running.use(await proxy.start(own, config, port));
      client = connect(origin, { token, caFile: ca.cert });
      running.defer(async () => client.close());
      image = await client.save(small, { model: 'flux' });
    });
    afterAll(() => running.disposeAsync());

    const nodeOptions = () => ({ ca: readFileSync(ca.cert) });
    const headers = { authorization: `Bearer ${token}` };

    it(`takes ${UPLOAD_BYTES / MIB} MiB over gRPC, and gives them back`, async () => {
      const saved = await client.save(bytes);
      expect(saved.size).toBe(UPLOAD_BYTES);
      const got = await buffer((await client.get(saved.filename)).body);
      expect(got.equals(bytes)).toBe(true);
    });

    it('passes on chunks as they come, and why an upload is refused that has not ended', async () => {
      const storage = createClient(ImageStorage, createGrpcTransport({ baseUrl: origin, nodeOptions: nodeOptions() }));
      expect(await outcomeOf(storage.save(endless(), { headers }))).toBe('InvalidArgument TYPE_NOT_ALLOWED');
      const garbage = upload(Buffer.alloc(4 * MIB, 'no image'));
      expect(await outcomeOf(storage.save(garbage, { headers }))).toBe('InvalidArgument TYPE_NOT_ALLOWED');
      expect(await outcomeOf(storage.stats({}))).toBe('Unauthenticated TOKEN_MISSING');
      expect(await outcomeOf(storage.delete({ filenames: ['a'] }, { headers }))).toBe('PermissionDenied SCOPE_MISSING');
    });

    it.each([
      ['gRPC-Web', createGrpcWebTransport],
      ['Connect', createConnectTransport],
    ])('serves %s over HTTP/1.1 and HTTP/2', async (_name, create) => {
      for (const httpVersion of ['1.1', '2'] as const) {
        const storage = createClient(
          ImageStorage,
          create({ baseUrl: origin, httpVersion, nodeOptions: nodeOptions() }),
        );
        const [, ...parts] = await all(storage.get({ filename: image.filename }, { headers }));
        const got = Buffer.concat(parts.map(({ payload }) => payload.value as Uint8Array));
        expect(got.equals(small)).toBe(true);
      }
    });

    it('serves images, parts of them, and whoever has them', async () => {
      const etag = `"${image.sha256}"`;
      expect(image.url.startsWith(`${origin}/outputs/images/`)).toBe(true);
      const whole = await ask(image.url, headers);
      expect([whole.status, whole.headers.etag, whole.headers['cache-control']]).toEqual([
        200,
        etag,
        expect.stringContaining('no-transform'),
      ]);
      expect(whole.body.equals(small)).toBe(true);
      const part = await ask(image.url, { ...headers, range: 'bytes=100-299', 'if-range': etag });
      expect([part.status, part.headers['content-range']]).toEqual([206, `bytes 100-299/${small.length}`]);
      expect(part.body.equals(small.subarray(100, 300))).toBe(true);
      expect((await ask(image.url, { ...headers, 'if-none-match': etag })).status).toBe(304);
      const head = await ask(image.url, headers, 'HEAD');
      expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, `${small.length}`, 0]);
      expect((await ask(image.url)).status).toBe(401);
    });

    it('serves images over HTTP/2', async () => {
      const session = connectHttp2(origin, nodeOptions());
      const stream = session.request({ ':path': new URL(image.url).pathname, range: 'bytes=7-', ...headers });
      const got = await buffer(stream);
      session.close();
      expect(got.equals(small.subarray(7))).toBe(true);
    });

    it('takes a form with an image, and passes it on as it comes', async () => {
      const form = new FormData();
      form.append('model', 'flux');
      form.append('file', new Blob([new Uint8Array(medium)]));
      const encoded = new Response(form);
      const body = Buffer.from(await encoded.arrayBuffer());
      const typed = { ...headers, 'content-type': encoded.headers.get('content-type')! };
      const saved = await ask(`${origin}/images`, typed, 'POST', body);
      expect([saved.status, JSON.parse(saved.body.toString()).image.size]).toEqual([201, `${medium.length}`]);
      // The rest never comes.
      const start = Buffer.from(body.toString('latin1').replace('PNG', 'GNP'), 'latin1').subarray(0, 200_000);
      const refused = await ask(`${origin}/images`, { ...typed, 'content-length': `${body.length}` }, 'POST', start);
      expect([refused.status, JSON.parse(refused.body.toString()).reason]).toEqual([400, 'TYPE_NOT_ALLOWED']);
    });

    it('serves the page', () => expectPage(`${origin}/`));

    it('opens a session of a browser, whose cookie is for TLS', async () => {
      const session = await ask(`${origin}/session`, { ...headers, origin }, 'POST');
      const [cookie] = session.headers['set-cookie']!;
      expect(cookie).toMatch(/; Secure(;|$)/);
      const shown = await ask(image.url, { cookie: cookie!.split(';', 1)[0]! });
      expect([shown.status, shown.body.equals(small)]).toEqual([200, true]);
    });

    it('believes nobody but the proxy where a request comes from', async () => {
      lines.length = 0;
      await ask(image.url, { ...headers, 'x-forwarded-for': '203.0.113.9' });
      await expect
        .poll(() => lines.filter(({ method }) => method === 'GET image').map(({ peer }) => peer))
        .toEqual(['127.0.0.1']);
    });

    it('serves nothing but images', async () => {
      const path = new URL(image.url).pathname;
      const ways = [
        '/outputs/images/generations/..%2f..%2f..%2fetc%2fpasswd',
        `${path}/../../../../../metadata/catalog.db`,
      ];
      for (const way of ways) expect((await ask(`${origin}${way}`, headers)).status).toBe(404);
    });

    it('serves page and images below a path', async () => {
      await using stack = new AsyncDisposableStack();
      const port = await freePort();
      const site = `https://localhost:${port}`;
      const other = stack.use(await runDaemon({ IMAGE_STORAGE_PUBLIC_URL: `${site}/art` }));
      const own = join(folder, `${proxy.name}-below`);
      mkdirSync(own);
      // nginx and Caddy write a socket differently.
      const daemon = `unix${proxy === nginx ? ':' : '/'}${other.socket}`;
      const config = below({ port, daemon });
      await proxy.check(own, config);
      stack.use(await proxy.start(own, config, port));
      const direct = connect(other.address);
      const { url, filename } = await direct.save(small);
      direct.close();
      expect(url.startsWith(`${site}/art/outputs/images/`)).toBe(true);
      const part = await ask(url, { range: 'bytes=5-9' });
      expect([part.status, part.body.equals(small.subarray(5, 10))]).toEqual([206, true]);
      await expectPage(`${site}/art/`);
      // Caddy has no site of this name.
      const foreign = await ask(url, { host: 'evil.example' });
      expect([foreign.status, foreign.body.length < 1000]).toEqual([proxy === nginx ? 403 : 200, true]);
      const described = await ask(`${site}/art/images/${filename}`);
      expect(JSON.parse(described.body.toString()).url).toBe(url);
    });

    if (!full) return;
    it('takes an upload that lasts longer than a minute', async () => {
      const storage = createClient(ImageStorage, createGrpcTransport({ baseUrl: origin, nodeOptions: nodeOptions() }));
      const pieces = async function* () {
        yield header({});
        for (let at = 0; at < small.length; at += 150_000) {
          await sleep(20_000);
          yield chunk(small.subarray(at, at + 150_000));
        }
      };
      expect(await outcomeOf(storage.save(pieces(), { headers }))).toBe('OK');
    });
  });
});

async function expectPage(url: string): Promise<void> {
  const page = await ask(url);
  expect([page.status, page.headers['content-type']]).toEqual([200, expect.stringContaining('text/html')]);
  const [, script] = /<script[^>]* src="([^"]+)"/.exec(page.body.toString())!;
  expect(await ask(new URL(script!, url).href)).toMatchObject({ status: 200 });
}

/** No image, and never an end. */
async function* endless() {
  yield header({});
  yield chunk(Buffer.alloc(64 * 1024, 'no image'));
  await new Promise(() => {});
}

/** One request over HTTP/1.1 and TLS, its path as it is. A body that is shorter than its `content-length` never ends. */
async function ask(url: string, headers: Record<string, string> = {}, method = 'GET', body = Buffer.alloc(0)) {
  const { hostname, port } = new URL(url);
  const path = url.slice(url.indexOf('/', 'https://'.length));
  const sized = method === 'POST' ? { 'content-length': `${body.length}`, ...headers } : headers;
  const tls = { ca: readFileSync(ca.cert), servername: hostname };
  const request = requestHttps({ hostname, port, path, method, headers: sized, agent: false, ...tls });
  request.write(body);
  if (sized['content-length'] === undefined || Number(sized['content-length']) === body.length) request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const answer = { status: response.statusCode, headers: response.headers, body: await buffer(response) };
  request.destroy();
  return answer;
}
