/** Cookies and links of a running daemon: what a page gets for a token, and what whoever has a link may see. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { createSessions } from '../../src/auth/sessions.ts';
import { newUrlKey } from '../../src/auth/signed-url.ts';
import { newToken, parseTokens, tokenLine } from '../../src/auth/tokens.ts';
import { openUrlKeys } from '../../src/auth/url-keys.ts';
import { connect } from '../../src/client.ts';
import { ask } from '../http/raw-http.ts';
import { outcomeOf } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { WITH_PREVIEWS } from '../support/previews.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

const HOUR_MS = 3600 * 1000;
const token = newToken();
const line = tokenLine('worker', token, ['read', 'write', 'admin']);
const key = newUrlKey();
const png = pngOf({ width: 64, height: 64 });
/** What the page tells its readers. */
const about = { command: 'image-storage', previews: expect.stringMatching(/^(made|unavailable)$/) };
const bearer = { authorization: `Bearer ${token}` };

async function imageOn({ address }: RunningDaemon, given?: string) {
  const client = connect(address, { token: given, allowPlaintextToken: true });
  const { url, filename } = await client.save(png, { prompt: 'a fox' });
  client.close();
  return { url, filename };
}

describe('a daemon with tokens', () => {
  let folder: string;
  let tokensFile: string;
  let daemon: RunningDaemon;
  let origin: string;
  let image: { url: string; filename: string };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
    tokensFile = join(folder, 'tokens');
    writeFileSync(tokensFile, line);
    daemon = await runDaemon({
      ...WITH_PREVIEWS,
      IMAGE_STORAGE_AUTH_TOKENS_FILE: tokensFile,
      IMAGE_STORAGE_AUTH_URL_KEYS: key,
      IMAGE_STORAGE_PUBLIC_URL: 'https://images.example/art',
    });
    origin = `http://${daemon.address}`;
    image = await imageOn(daemon, token);
    image.url = image.url.replace('https://images.example/art', '');
  });
  afterAll(async () => {
    await daemon.close();
    await rm(folder, { recursive: true });
  });

  const begin = (headers: Record<string, string> = bearer) => fetch(`${origin}/session`, { method: 'POST', headers });
  const cookieOf = (answer: Response) => answer.headers.get('set-cookie')!.split(';')[0]!;

  it('gives a cookie for a token, with neither in any answer', async () => {
    const answer = await begin();
    expect(answer.status).toBe(200);
    const cookie = answer.headers.get('set-cookie')!;
    expect(cookie).toMatch(
      /^image_storage_[\w-]{21}=[\w.-]+; Max-Age=43\d\d\d; Path=\/art; HttpOnly; SameSite=Strict$/,
    );
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const text = await answer.text();
    expect(JSON.parse(text)).toEqual({
      ...about,
      locked: true,
      scopes: ['read', 'write'],
      token: 'worker',
      expires: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    for (const secret of [token, key, cookie.split('=')[1]!.split(';')[0]!]) expect(text).not.toContain(secret);
    expect(cookie).not.toContain(token);
  });

  it.each([
    ['none', {}, 'TOKEN_MISSING'],
    ['an unknown one', { authorization: `Bearer ${newToken()}` }, 'TOKEN_UNKNOWN'],
  ])('gives none for %s', async (_what, headers, reason) => {
    const answer = await begin(headers);
    expect([answer.status, ((await answer.json()) as { reason: string }).reason]).toEqual([401, reason]);
    expect(answer.headers.get('set-cookie')).toBeNull();
  });

  it('takes the cookie for routes, for images and for the calls of a page, below its path, too', async () => {
    const headers = { cookie: cookieOf(await begin()) };
    for (const path of [image.url, `/art${image.url}`, '/images', '/art/images', `/images/${image.filename}`]) {
      expect((await fetch(origin + path)).status).toBe(401);
      const answer = await fetch(origin + path, { headers });
      expect([path, answer.status]).toEqual([path, 200]);
      await answer.arrayBuffer();
    }
    const picture = await fetch(origin + image.url, { headers });
    expect(Buffer.from(await picture.arrayBuffer())).toEqual(png);
    expect(picture.headers.get('cache-control')).toMatch(/^private, /);
    expect(picture.headers.get('cross-origin-resource-policy')).toBe('same-origin');
    const stats = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: '{}' };
    for (const path of ['/imagestorage.v1.ImageStorage/Stats', '/art/imagestorage.v1.ImageStorage/Stats']) {
      expect(await (await fetch(origin + path, stats)).json()).toMatchObject({ providers: [{ count: '1' }] });
    }
  });

  it('takes it over each protocol of a page, and never for admin', async () => {
    const headers = { cookie: cookieOf(await begin()) };
    const pages = [
      createConnectTransport({ baseUrl: origin, httpVersion: '1.1' }),
      createConnectTransport({ baseUrl: origin, httpVersion: '1.1', useHttpGet: true }),
      createGrpcWebTransport({ baseUrl: origin, httpVersion: '1.1' }),
    ];
    for (const transport of pages) {
      const images = createClient(ImageStorage, transport);
      expect(await outcomeOf(images.stats({}, { headers }))).toBe('OK');
      expect(await outcomeOf(images.delete({ filenames: ['a.png'] }, { headers }))).toBe(
        'PermissionDenied SCOPE_MISSING',
      );
    }
    const verify = { method: 'POST', headers: { ...headers, 'content-type': 'application/connect+json' } };
    const answer = await fetch(`${origin}/imagestorage.v1.Maintenance/Verify`, { ...verify, body: '\0\0\0\0\x02{}' });
    const told = await answer.text();
    expect(told).toContain('SCOPE_MISSING');
    expect(told).toContain('the session of the token worker lacks the scope admin');
  });

  it('takes none with a token beside it, from a foreign host, or over gRPC', async () => {
    const cookie = cookieOf(await begin());
    const headers = { cookie, authorization: `Bearer ${newToken()}` };
    expect((await fetch(`${origin}/images`, { headers })).status).toBe(401);
    const rebound = await ask(daemon.address, 'GET /images', 'Host: evil.example', `Cookie: ${cookie}`);
    expect(rebound.body).toContain('HOST_NOT_ALLOWED');
    const images = createClient(ImageStorage, createGrpcTransport({ baseUrl: origin }));
    const get = async () => {
      for await (const _ of images.get({ filename: image.filename }, { headers: { cookie } }));
    };
    expect(await outcomeOf(get())).toBe('Unauthenticated TOKEN_MISSING');
  });

  it('says who asks, and what they may do', async () => {
    const who = async (headers: Record<string, string>) => (await fetch(`${origin}/session`, { headers })).json();
    expect(await who({})).toEqual({ ...about, locked: true, scopes: [] });
    const scopes = ['read', 'write', 'admin'];
    expect(await who(bearer)).toEqual({ ...about, locked: true, scopes, token: 'worker' });
    expect(await who({ cookie: cookieOf(await begin()) })).toMatchObject({
      scopes: ['read', 'write'],
      token: 'worker',
    });
  });

  it('ends a session', async () => {
    const answer = await fetch(`${origin}/session`, { method: 'DELETE', headers: { cookie: cookieOf(await begin()) } });
    expect(answer.headers.get('set-cookie')).toMatch(
      /^image_storage_[\w-]+=; Max-Age=0; Path=\/art; HttpOnly; SameSite=Strict$/,
    );
  });

  it('prolongs one that is used, but not in what caches keep', async () => {
    const name = cookieOf(await begin()).split('=')[0]!;
    const begun = createSessions({
      keys: openUrlKeys(key, ''),
      tokenNamed: () => undefined,
      storeId: () => name.replace('image_storage_', ''),
      now: () => Date.now() - 5 * HOUR_MS,
    });
    const { value } = await begun.begin(parseTokens(line)[0]!);
    const headers = { cookie: `${name}=${value}` };
    const prolonged = async (path: string) => {
      const answer = await fetch(origin + path, { headers });
      await answer.arrayBuffer();
      return answer.headers.get('set-cookie');
    };
    for (const path of ['/images', '/images/none', '/session']) {
      expect(await prolonged(path)).toMatch(/Max-Age=43\d\d\d; Path=\/art; HttpOnly; SameSite=Strict$/);
    }
    expect(await prolonged(image.url)).toBeNull();
    const stats = `${origin}/imagestorage.v1.ImageStorage/Stats`;
    const call = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: '{}' };
    expect((await fetch(stats, call)).headers.get('set-cookie')).toContain('Max-Age=43');
  });

  const sign = async (wish: object, headers: Record<string, string> = bearer) => {
    const body = JSON.stringify(wish);
    const given = { ...headers, 'content-type': 'application/json' };
    return fetch(`${origin}/sign`, { method: 'POST', headers: given, body });
  };

  it('signs links that open one image to whoever has them', async () => {
    const answer = await sign({ filename: image.filename, download: true, seconds: 60 });
    expect(answer.status).toBe(200);
    const { url, expires } = (await answer.json()) as { url: string; expires: string };
    expect(url).toMatch(/^https:\/\/images\.example\/art\/outputs\/images\/generations\/[^?]+\?download=1&by=worker&/);
    expect(expires).toMatch(/:00:00\.000Z$/);
    const path = url.slice('https://images.example'.length);
    for (const opened of [path, path.replace('/art', '')]) {
      const picture = await fetch(origin + opened);
      expect(picture.status).toBe(200);
      expect(Buffer.from(await picture.arrayBuffer())).toEqual(png);
      const [, left] = /^public, max-age=(\d+), immutable, no-transform$/.exec(picture.headers.get('cache-control')!)!;
      expect(Number(left)).toBeGreaterThan((Date.parse(expires) - Date.now()) / 1000 - 5);
      expect(Number(left)).toBeLessThanOrEqual(2 * 3600);
      expect(picture.headers.get('cross-origin-resource-policy')).toBe('cross-origin');
      expect(picture.headers.get('content-disposition')).toMatch(/^attachment/);
    }
    const anywhere = await ask(daemon.address, `HEAD ${path}`, 'Host: cdn.example');
    expect(anywhere.status).toBe(200);
    const inline = await fetch(origin + path.replace('download=1&', ''));
    expect([inline.status, ((await inline.json()) as { reason: string }).reason]).toEqual([401, 'TOKEN_UNKNOWN']);
    expect((await fetch(`${origin}/images?${path.split('?')[1]!}`)).status).toBe(401);
  });

  it('signs for a session, too, and a preview by the width that there is', async () => {
    const cookie = { cookie: cookieOf(await begin()) };
    const [one, other] = await Promise.all(
      [300, 320].map(async (width) => (await sign({ filename: image.filename, width }, cookie)).json()),
    );
    expect(other).toEqual(one);
    const { url } = one as { url: string };
    expect(url).toContain('?width=320&by=worker&');
    expect((await fetch(url.replace('https://images.example', origin))).status).toBe(200);
  });

  it.each([
    [{}, 400, 'FIELD_INVALID', 'filename'],
    [{ filename: 'a.png', seconds: 8 * 24 * 3600 }, 400, 'FIELD_INVALID', 'seconds'],
    [{ filename: 'a.png', width: 0 }, 400, 'FIELD_INVALID', 'width'],
    [{ filename: 'a.png', download: 1 }, 400, 'FIELD_INVALID', 'download'],
    [{ filename: 'a.png', provider: 1 }, 400, 'FIELD_INVALID', 'provider'],
    [{ filename: 'a.png', name: 1 }, 400, 'FIELD_INVALID', 'name'],
    [{ filename: 'a.png' }, 404, 'IMAGE_NOT_FOUND', 'filename'],
    [['a.png'], 400, 'FIELD_INVALID', undefined],
  ])('signs nothing for %j', async (wish, status, reason, field) => {
    const answer = await sign(wish);
    const told = (await answer.json()) as { reason: string; field?: string };
    expect([answer.status, told.reason, told.field]).toEqual([status, reason, field]);
  });

  it('signs nothing for a form, or more than a wish may have', async () => {
    const long = await sign({ filename: 'a'.repeat(20_000) });
    expect([long.status, ((await long.json()) as { reason: string }).reason]).toEqual([429, 'MESSAGE_TOO_LARGE']);
    const answer = await fetch(`${origin}/sign`, { method: 'POST', headers: bearer, body: 'filename=a.png' });
    expect(answer.status).toBe(400);
  });

  it('ends sessions and links with their token', async () => {
    const headers = { cookie: cookieOf(await begin()) };
    const { url } = (await (await sign({ filename: image.filename })).json()) as { url: string };
    const link = url.replace('https://images.example', origin);
    expect((await fetch(link)).status).toBe(200);
    // Another token of the same name.
    writeFileSync(tokensFile, tokenLine('worker', newToken(), ['read']));
    await expect.poll(async () => (await fetch(link)).status).toBe(401);
    expect((await fetch(`${origin}/images`, { headers })).status).toBe(401);
  });
});

describe('a daemon whose default store is not there', () => {
  it('says so to who comes with a cookie, and goes on', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
    // A folder cannot be made in a file.
    writeFileSync(join(folder, 'file'), '');
    await using daemon = await runDaemon({
      IMAGE_STORAGE_AUTH_TOKENS: line,
      IMAGE_STORAGE_DEFAULT_PROVIDER: 'away',
      IMAGE_STORAGE_PROVIDERS_AWAY_TYPE: 'local',
      IMAGE_STORAGE_PROVIDERS_AWAY_BASE_PATH: join(folder, 'file', 'outputs'),
      IMAGE_STORAGE_PROVIDERS_AWAY_REQUIRED: 'false',
    });
    const origin = `http://${daemon.address}`;
    const outcome = async (path: string, init: RequestInit) => {
      const answer = await fetch(origin + path, init);
      return [answer.status, ((await answer.json()) as { reason?: string }).reason];
    };
    const headers = { cookie: 'image_storage_x=a.1.2.worker.b' };
    for (let count = 0; count < 2; count += 1) {
      expect(await outcome('/images', { headers })).toEqual([503, 'BACKEND_UNAVAILABLE']);
      expect(await outcome('/session', { method: 'POST', headers: bearer })).toEqual([503, 'BACKEND_UNAVAILABLE']);
    }
    expect(await outcome('/images?provider=local', { headers: bearer })).toEqual([200, undefined]);
    await rm(folder, { recursive: true });
  });
});

describe('a daemon without a lock', () => {
  let daemon: RunningDaemon;
  beforeAll(async () => {
    daemon = await runDaemon(WITH_PREVIEWS);
  });
  afterAll(() => daemon.close());

  it('says so, and gives no cookie', async () => {
    for (const method of ['GET', 'POST']) {
      const answer = await fetch(`http://${daemon.address}/session`, { method, headers: bearer });
      expect(await answer.json()).toEqual({ ...about, locked: false, scopes: ['read', 'write', 'delete', 'admin'] });
      expect(answer.headers.get('set-cookie')).toBeNull();
    }
  });

  it('signs links with a key of its own, which is made then', async () => {
    const { url, filename } = await imageOn(daemon);
    const file = join(daemon.socket, '../outputs/metadata/url-keys');
    expect(() => statSync(file)).toThrow('ENOENT');
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ filename });
    const answer = await fetch(`http://${daemon.address}/sign`, { method: 'POST', headers, body });
    const link = (await answer.json()) as { url: string };
    expect(link.url.startsWith(`${url}?expires=`)).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toMatch(/^[\w-]{43}\n$/);
    const opened = await fetch(`http://${daemon.address}${link.url}`);
    expect(opened.headers.get('cache-control')).toMatch(/^public, /);
    // One that is no good takes nothing from who needs none.
    const plain = await fetch(`http://${daemon.address}${link.url}x`);
    expect([plain.status, plain.headers.get('cache-control')]).toEqual([200, expect.stringMatching(/^private, /)]);
  });
});
