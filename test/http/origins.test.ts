/** What pages may do, their own and those of other sites, and which names they are reached by: as browsers say it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { connect } from '../../src/client.ts';
import { pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { ask } from './raw-http.ts';

const COMFYUI = 'http://127.0.0.1:8188';
const token = newToken();
const png = pngOf({ width: 8, height: 8 });

async function saveOn({ address }: RunningDaemon, given?: string): Promise<{ url: string; filename: string }> {
  const client = connect(address, { token: given, allowPlaintextToken: true });
  const saved = await client.save(png);
  client.close();
  return saved;
}

/** Of `DELETE /images/NAME`: what came of it. */
const DELETED = '404 IMAGE_NOT_FOUND';
const REFUSED = '403 ORIGIN_NOT_ALLOWED';

describe('a daemon without a lock', () => {
  let daemon: RunningDaemon;
  beforeAll(async () => {
    const trusted = { IMAGE_STORAGE_HTTP_CORS_ORIGINS: COMFYUI };
    daemon = await runDaemon({ ...trusted, IMAGE_STORAGE_PUBLIC_URL: 'https://images.example' });
  });
  afterAll(() => daemon.close());

  it.each([
    ['the own page', ['Origin: http://HOST'], DELETED],
    ['the own page, as the browser says', ['Origin: http://HOST', 'Sec-Fetch-Site: same-origin'], DELETED],
    ['the own page behind a proxy', ['Origin: https://images.example'], DELETED],
    ['curl', [], DELETED],
    ['another site', ['Origin: https://evil.example', 'Sec-Fetch-Site: cross-site'], REFUSED],
    ['another site at a plain address', ['Origin: http://evil.example'], REFUSED],
    ['another port of this machine', ['Origin: http://127.0.0.1:8188', 'Sec-Fetch-Site: same-site'], REFUSED],
    ['another port at a plain address', ['Origin: http://192.0.2.1:8188'], REFUSED],
    ['a page without an origin', ['Origin: null'], REFUSED],
    ['no page that a browser shows', ['Sec-Fetch-Site: none'], REFUSED],
    ['a page that a browser knows better', ['Origin: http://HOST', 'Sec-Fetch-Site: cross-site'], REFUSED],
    ['an origin that is configured, but has no token', [`Origin: ${COMFYUI}`], REFUSED],
    ['one that has a token that nobody asks for', [`Origin: ${COMFYUI}`, `Authorization: Bearer ${token}`], REFUSED],
  ])('hears %s', async (_who, headers, outcome) => {
    const given = headers.map((header) => header.replace('HOST', daemon.address));
    const host = `Host: ${daemon.address}`;
    const { status, body } = await ask(daemon.address, 'DELETE /images/none.png', host, ...given);
    expect(`${status} ${JSON.parse(body).reason}`).toBe(outcome);
  });

  it.each([
    ['a form', 'application/x-www-form-urlencoded', 'filenames=a.png'],
    ['a form with a file', 'multipart/form-data; boundary=b', '--b--'],
    ['text that is JSON', 'text/plain', '{"filenames":["a.png"]}'],
    ['Connect', 'application/json', '{"filenames":["a.png"]}'],
    ['gRPC-Web', 'application/grpc-web+proto', '\0\0\0\0\0'],
    ['proto', 'application/proto', ''],
  ])('takes %s of another site for nothing', async (_what, type, text) => {
    const headers = ['Origin: http://192.0.2.1:8188', `Content-Type: ${type}`, `Content-Length: ${text.length}`];
    for (const path of ['/images', '/sign', '/session', '/imagestorage.v1.ImageStorage/Delete']) {
      const { body } = await ask(daemon.address, `POST ${path}`, ...headers, '');
      expect(JSON.parse(body)).toMatchObject({ reason: 'ORIGIN_NOT_ALLOWED' });
    }
  });

  it.each(['evil.example', `evil.example:80`, 'localhost.evil.example', '127.0.0.1.evil.example'])(
    'answers nothing under the name %s',
    async (host) => {
      for (const line of ['GET /images', 'POST /session', 'OPTIONS /images', 'GET /session']) {
        const { status, body } = await ask(daemon.address, line, `Host: ${host}`, 'Content-Length: 0');
        expect([status, JSON.parse(body).reason]).toEqual([403, 'HOST_NOT_ALLOWED']);
      }
    },
  );

  it('lets an origin that is configured read what a link opens, and nothing else', async () => {
    const { url, filename } = await saveOn(daemon);
    const path = url.replace('https://images.example', '');
    const origin = `Origin: ${COMFYUI}`;
    expect((await ask(daemon.address, `GET ${path}`, origin)).headers).not.toHaveProperty(
      'access-control-allow-origin',
    );
    const preflight = [origin, 'Access-Control-Request-Method: GET'];
    expect((await ask(daemon.address, `OPTIONS ${path}`, ...preflight)).status).toBe(405);
    const body = JSON.stringify({ filename });
    const headers = { 'content-type': 'application/json' };
    const signed = await fetch(`http://${daemon.address}/sign`, { method: 'POST', headers, body });
    const link = ((await signed.json()) as { url: string }).url.replace('https://images.example', '');
    const opened = await ask(daemon.address, `GET ${link}`, origin);
    expect(opened.headers).toMatchObject({
      'access-control-allow-origin': COMFYUI,
      'access-control-expose-headers': expect.stringContaining('ETag, Content-Range, Content-Length'),
      vary: 'Origin',
      'cross-origin-resource-policy': 'cross-origin',
    });
    expect(opened.headers).not.toHaveProperty('access-control-allow-credentials');
    expect((await ask(daemon.address, `OPTIONS ${link}`, ...preflight)).status).toBe(204);
    for (const other of ['http://127.0.0.1:8189', 'https://127.0.0.1:8188', 'null']) {
      const { headers } = await ask(daemon.address, `GET ${link}`, `Origin: ${other}`);
      expect(headers).not.toHaveProperty('access-control-allow-origin');
      expect(headers.vary).toBe('Origin');
    }
  });
});

describe('a daemon with tokens', () => {
  let daemon: RunningDaemon;
  let cookie: string;
  beforeAll(async () => {
    daemon = await runDaemon({
      IMAGE_STORAGE_AUTH_TOKENS: tokenLine('worker', token, ['read', 'write', 'delete']),
      IMAGE_STORAGE_HTTP_CORS_ORIGINS: COMFYUI,
    });
    const headers = { authorization: `Bearer ${token}` };
    const begun = await fetch(`http://${daemon.address}/session`, { method: 'POST', headers });
    cookie = `Cookie: ${begun.headers.get('set-cookie')!.split(';')[0]}`;
  });
  afterAll(() => daemon.close());

  const bearer = `Authorization: Bearer ${token}`;
  const origin = `Origin: ${COMFYUI}`;
  const remove = (...headers: string[]) => ask(daemon.address, 'DELETE /images/none.png', ...headers);

  it('lets a page do by its cookie what it may, and another page nothing', async () => {
    const own = [`Host: ${daemon.address}`, `Origin: http://${daemon.address}`, cookie];
    expect((await remove(...own)).body).toContain('IMAGE_NOT_FOUND');
    for (const foreign of [origin, 'Origin: null', 'Sec-Fetch-Site: same-site', 'Sec-Fetch-Site: cross-site']) {
      const refused = await remove(`Host: ${daemon.address}`, foreign, cookie);
      expect(refused.body).toContain('ORIGIN_NOT_ALLOWED');
      expect(refused.headers).not.toHaveProperty('access-control-allow-origin');
    }
    const read = await ask(daemon.address, 'GET /images', origin, cookie);
    expect(read.status).toBe(200);
    expect(read.headers).not.toHaveProperty('access-control-allow-origin');
    expect(read.headers['cross-origin-resource-policy']).toBe('same-origin');
  });

  it('lets an origin that is configured do what its token allows, and read why not', async () => {
    const removed = await remove(origin, bearer);
    expect([removed.status, removed.headers['access-control-allow-origin']]).toEqual([404, COMFYUI]);
    // The cookie of somebody else does nothing for it.
    const unknown = await remove(origin, `Authorization: Bearer ${newToken()}`, cookie);
    expect(unknown.body).toContain('TOKEN_UNKNOWN');
    expect(unknown.headers['access-control-allow-origin']).toBe(COMFYUI);
    for (const other of ['http://127.0.0.1:8189', 'null']) {
      expect((await remove(`Origin: ${other}`, bearer)).body).toContain('ORIGIN_NOT_ALLOWED');
    }
    const headers = { authorization: `Bearer ${token}`, origin: COMFYUI, 'content-type': 'application/json' };
    const stats = `http://${daemon.address}/imagestorage.v1.ImageStorage/Stats`;
    const called = await fetch(stats, { method: 'POST', headers, body: '{}' });
    expect([called.status, called.headers.get('access-control-allow-origin')]).toEqual([200, COMFYUI]);
    expect(called.headers.get('access-control-expose-headers')).toContain('Grpc-Status');
    const { url } = await saveOn(daemon, token);
    const image = await ask(daemon.address, `GET ${url}`, origin, bearer);
    expect(image.headers).toMatchObject({ 'access-control-allow-origin': COMFYUI, vary: 'Origin' });
    expect(image.headers['cache-control']).toMatch(/^private, /);
  });

  it('answers preflights of that origin, and of no other', async () => {
    const preflight = (...headers: string[]) =>
      ask(
        daemon.address,
        'OPTIONS /imagestorage.v1.ImageStorage/Delete',
        ...headers,
        'Access-Control-Request-Method: POST',
      );
    const { status, headers } = await preflight(origin, 'Access-Control-Request-Headers: authorization,content-type');
    expect(status).toBe(204);
    expect(headers).toMatchObject({ 'access-control-allow-origin': COMFYUI, 'access-control-max-age': '7200' });
    expect(headers['access-control-allow-headers']!.split(', ')).toEqual(
      expect.arrayContaining(['authorization', 'content-type', 'connect-protocol-version', 'idempotency-key']),
    );
    expect(headers).not.toHaveProperty('access-control-allow-credentials');
    const other = await preflight('Origin: http://127.0.0.1:8189');
    expect(other.headers).not.toHaveProperty('access-control-allow-origin');
  });
});
