/** Programs of others against a daemon with tokens, in cleartext and over TLS: grpcurl, grpc_health_probe, buf curl, curl. */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { createCa, createCertificate } from '../access/certificates.ts';
import { goTool } from '../support/go-tools.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

const run = promisify(execFile);
const grpcurl = goTool('grpcurl', 'github.com/fullstorydev/grpcurl/cmd/grpcurl', 'v1.9.4');
const probe = goTool('grpc-health-probe', 'github.com/grpc-ecosystem/grpc-health-probe', 'v0.4.62');
const hasCurl = spawnSync('curl', ['--version']).status === 0;
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const SERVICE = 'imagestorage.v1.ImageStorage';
const PNG = pngOf({ width: 64, height: 64, sizeBytes: 300_000 });
const BUILD_MS = 600_000;

const folder = mkdtempSync(join(tmpdir(), 'image-storage-tools-'));
const caFile = join(folder, 'ca.crt');
const token = newToken();
const bearer = `authorization: Bearer ${token}`;
let daemon: RunningDaemon;

beforeAll(async () => {
  if (!hasOpenssl) return;
  const server = createCertificate(folder, 'server', createCa(folder, 'ca'));
  daemon = await runDaemon({
    IMAGE_STORAGE_AUTH_TOKENS: tokenLine('tools', token, ['read', 'write']),
    IMAGE_STORAGE_TLS_CERT: server.cert,
    IMAGE_STORAGE_TLS_KEY: server.key,
    IMAGE_STORAGE_OPS_LISTEN: '127.0.0.1:0',
  });
});
afterAll(async () => {
  await daemon?.close();
  rmSync(folder, { recursive: true });
});

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

async function outcomeOf(program: string, args: readonly string[], input: string | Buffer = ''): Promise<Outcome> {
  const running = run(program, args, { maxBuffer: 64 << 20 });
  running.child.stdin!.on('error', () => {}).end(input);
  return running.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

/** The messages of a Save as JSON, one after the other. */
function messagesOf(image: Buffer, model: string): string {
  const [half, rest] = [image.subarray(0, 150_000), image.subarray(150_000)];
  const messages = [
    { header: { metadata: { model }, size: `${image.length}` } },
    { chunk: half.toString('base64') },
    { chunk: rest.toString('base64') },
  ];
  return messages.map((message) => JSON.stringify(message)).join('\n');
}

describe.each([
  { link: 'cleartext', isTls: false },
  { link: 'TLS', isTls: true },
])('over $link', ({ link, isTls }) => {
  requires('Go, which builds grpcurl, and openssl', grpcurl.available && hasOpenssl)('grpcurl', () => {
    let program: string;
    beforeAll(async () => {
      program = await grpcurl.build();
    }, BUILD_MS);
    const flags = isTls ? ['-cacert', caFile] : ['-plaintext'];
    const call = (args: string[], input = '') => outcomeOf(program, [...flags, ...args], input);

    it('finds the services by reflection, with a token', async () => {
      const { stdout } = await call(['-H', bearer, daemon.address, 'list']);
      expect(stdout.split('\n')).toEqual(
        expect.arrayContaining([SERVICE, 'imagestorage.v1.Maintenance', 'grpc.health.v1.Health']),
      );
      const { code, stderr } = await call([daemon.address, 'list']);
      expect([code, stderr]).toEqual([1, expect.stringContaining('code = Unauthenticated')]);
    });

    it('saves by a stream, lists and gets', async () => {
      const model = `grpcurl-${link}`;
      const withToken = ['-H', bearer, '-d', '@', daemon.address];
      const saved = await call([...withToken, `${SERVICE}/Save`], messagesOf(PNG, model));
      expect([saved.code, saved.stderr]).toEqual([0, '']);
      const { image } = JSON.parse(saved.stdout);
      expect([image.size, image.metadata.model]).toEqual([`${PNG.length}`, model]);
      const listed = await call([...withToken, `${SERVICE}/List`], JSON.stringify({ model }));
      expect(JSON.parse(listed.stdout).images).toEqual([image]);
      const got = await call([...withToken, `${SERVICE}/Get`], JSON.stringify({ filename: image.filename }));
      const chunks = [...got.stdout.matchAll(/"chunk": "([^"]*)"/g)].map(([, text]) => Buffer.from(text!, 'base64'));
      expect(Buffer.concat(chunks).equals(PNG)).toBe(true);
    });

    it('shows an error with its details', async () => {
      const { code, stderr } = await call([
        '-H',
        bearer,
        '-d',
        '{"filenames":["a"]}',
        daemon.address,
        `${SERVICE}/Delete`,
      ]);
      // 64 and the code of gRPC.
      expect(code).toBe(64 + 7);
      expect(stderr).toContain('"reason": "SCOPE_MISSING"');
    });
  });

  requires('Go, which builds grpc_health_probe, and openssl', probe.available && hasOpenssl)(
    'grpc_health_probe',
    () => {
      let program: string;
      beforeAll(async () => {
        program = await probe.build();
      }, BUILD_MS);
      const flags = isTls ? ['-tls', '-tls-ca-cert', caFile] : [];
      const call = (args: string[]) => outcomeOf(program, [`-addr=${daemon.address}`, ...flags, ...args]);

      it('needs no token', async () => {
        expect(await call([])).toMatchObject({ code: 0, stderr: expect.stringContaining('status: SERVING') });
        expect((await call([`-service=${SERVICE}/local`])).code).toBe(0);
        // The health check itself failed: there is no such name.
        expect((await call(['-service=nothing'])).code).toBe(3);
      });

      it('reaches opsListen and the socket, which have no TLS', async () => {
        for (const address of [daemon.opsAddresses[0], `unix:${daemon.socket}`]) {
          expect((await outcomeOf(program, [`-addr=${address}`])).code).toBe(0);
        }
      });
    },
  );

  requires('openssl', hasOpenssl)('buf curl', () => {
    const url = (method: string) => `${isTls ? 'https' : 'http'}://${daemon.address}/${SERVICE}/${method}`;
    const flags = isTls ? ['--cacert', caFile] : ['--http2-prior-knowledge'];
    const call = (method: string, args: string[], input = '') =>
      outcomeOf('node_modules/.bin/buf', ['curl', ...flags, '-H', bearer, ...args, url(method)], input);

    it.each(['grpc', 'grpcweb', 'connect'])('saves and lists by %s', async (protocol) => {
      const model = `buf-${protocol}-${link}`;
      const schema = ['--protocol', protocol, '--reflect-header', bearer, '-d', '@-'];
      const saved = await call('Save', schema, messagesOf(PNG, model));
      expect([saved.code, saved.stderr]).toEqual([0, '']);
      const { image } = JSON.parse(saved.stdout);
      expect(image.size).toBe(`${PNG.length}`);
      const listed = await call('List', schema, JSON.stringify({ model }));
      expect(JSON.parse(listed.stdout).images).toEqual([image]);
    });
  });
});

requires('curl and openssl', hasCurl && hasOpenssl)('curl', () => {
  const etag = `"${createHash('sha256').update(PNG).digest('hex')}"`;
  const headersFile = join(folder, 'headers');
  const bodyFile = join(folder, 'body');
  let url: string;
  beforeAll(async () => {
    writeFileSync(headersFile, `x-much: ${'x'.repeat(100_000)}\n`);
    const [, body] = await curl('HTTP/1.1', ['-F', 'model=curl', '-F', `file=@-;type=image/png`, 'PLACE/images'], PNG);
    ({ url } = JSON.parse(body).image);
  });

  const links = {
    'HTTP/1.1': ['--http1.1'],
    'HTTP/2': ['--http2-prior-knowledge'],
    'HTTP/1.1 over TLS': ['--http1.1', '--cacert', caFile],
    'HTTP/2 over TLS': ['--http2', '--cacert', caFile],
  };
  type Link = keyof typeof links;

  /** Returns status, content-range and etag, and the body; `PLACE` in the arguments is the daemon. */
  async function curl(
    link: Link,
    args: string[],
    input: string | Buffer = '',
    who = bearer,
  ): Promise<[string, string]> {
    const place = `${link.endsWith('TLS') ? 'https' : 'http'}://${daemon.address}`;
    const written = '%{http_code} %header{content-range} %header{etag}';
    const flags = ['-s', '-o', bodyFile, '-w', written, '-H', who, '--max-time', '20', ...links[link]];
    writeFileSync(bodyFile, '');
    const { stdout } = await outcomeOf('curl', [...flags, ...args.map((arg) => arg.replace('PLACE', place))], input);
    return [stdout.trim().replace(/ +/g, ' '), readFileSync(bodyFile, 'latin1')];
  }

  describe.each(Object.keys(links) as Link[])('over %s', (link) => {
    it.each<[string, () => string[], string]>([
      ['the whole', () => [], `200 ${etag}`],
      ['a range', () => ['-r', '5-9'], `206 bytes 5-9/${PNG.length} ${etag}`],
      ['the end', () => ['-r', '-1'], `206 bytes 299999-299999/${PNG.length} ${etag}`],
      ['what it has', () => ['-H', `If-None-Match: ${etag}`], `304 ${etag}`],
      ['the head', () => ['-I'], `200 ${etag}`],
    ])('asks for %s', async (_name, args, expected) => {
      const [told, body] = await curl(link, [...args(), `PLACE${url}`]);
      expect(told).toBe(expected);
      if (expected.startsWith('206 bytes 5-')) expect(body).toBe(PNG.toString('latin1', 5, 10));
    });

    it('finds no way out, and no foreign host', async () => {
      const escaped = ['PLACE/outputs/images/generations/..%2f..%2f..%2fetc%2fpasswd'];
      const plain = ['--path-as-is', `PLACE${url}/../../../../../metadata/catalog.db`];
      for (const way of [escaped, plain]) expect((await curl(link, way))[0]).toBe('404');
      const [told, body] = await curl(link, ['-H', 'host: evil', `PLACE${url}`], '', 'x-nobody: 1');
      expect([told, JSON.parse(body).reason]).toEqual(['403', 'HOST_NOT_ALLOWED']);
    });

    it('sends 100 kB of headers, which it is told or cut for, and the next call is served', async () => {
      expect(['431', '000']).toContain((await curl(link, ['-H', `@${headersFile}`, `PLACE${url}`]))[0]);
      expect((await curl(link, ['-I', `PLACE${url}`]))[0]).toBe(`200 ${etag}`);
    });

    it('sends a body slowly, and is served', async () => {
      const [told, body] = await curl(link, ['--limit-rate', '600K', '-F', 'file=@-', 'PLACE/images'], PNG);
      expect([told, JSON.parse(body).image.size]).toEqual(['201', `${PNG.length}`]);
    });
  });

  it('names the whole URL in its request', async () => {
    const ask = (host: string) => curl('HTTP/1.1', ['--request-target', `http://${host}${url}`, 'PLACE']);
    expect((await ask('localhost'))[0]).toBe(`200 ${etag}`);
  });
});
