/** The files of the gallery: for anybody, below any path, with a policy that lets nothing else in. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { ask } from './raw-http.ts';

let daemon: RunningDaemon;
beforeAll(async () => {
  daemon = await runDaemon({
    IMAGE_STORAGE_PUBLIC_URL: 'https://example.com/art/',
    // Of a token that nobody has: the page is for whoever comes, the images are not.
    IMAGE_STORAGE_AUTH_TOKENS: `viewer ${'0'.repeat(64)} read`,
  });
});
afterAll(() => daemon.close());

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`http://${daemon.address}${path}`, { headers, redirect: 'manual' });
const filesOf = (page: string) => [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);

it.each(['/', '/i/20240927_141522_flux_abc123.png', '/art/', '/art/i/x.png'])(
  'serves the page under %s, and its files from there',
  async (path) => {
    const response = await get(path);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(response.headers.get('cache-control')).toBe('no-cache');
    const files = filesOf(await response.text());
    expect(files.length).toBeGreaterThanOrEqual(3);
    for (const file of files) {
      const { pathname } = new URL(file, `http://localhost${path}`);
      expect([pathname, (await get(pathname)).status]).toEqual([pathname, 200]);
    }
  },
);

it('sends who forgets the last slash of the prefix there', async () => {
  const { status, headers } = await get('/art');
  expect([status, headers.get('location')]).toEqual([308, 'art/']);
});

describe('headers', () => {
  it('of the page let nothing in but what is its own', async () => {
    const { headers } = await get('/');
    const policy = headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('of its files keep them for good, packed for who takes that', async () => {
    const [script] = filesOf(await (await get('/')).text()).filter((file) => file.endsWith('.js'));
    const path = `/${script!.slice('./'.length)}`;
    const { headers, body } = await ask(daemon.address, `GET ${path}`, 'Accept-Encoding: gzip');
    expect(headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'content-encoding': 'gzip',
      'content-length': `${body.length}`,
    });
    const plain = await ask(daemon.address, `GET ${path}`);
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(plain.body.length).toBeGreaterThan(body.length);
  });

  it('let a browser keep the page it has', async () => {
    const etag = (await get('/')).headers.get('etag')!;
    expect((await get('/', { 'if-none-match': etag })).status).toBe(304);
    expect((await get('/', { 'if-none-match': '"other"' })).status).toBe(200);
  });

  it('are the same for HEAD, without a body', async () => {
    const { status, headers, body } = await ask(daemon.address, 'HEAD /');
    expect([status, body, Number(headers['content-length']) > 100]).toEqual([200, '', true]);
  });
});

it.each(['/assets/none.js', '/assets/', '/assets/../index.html', '/i/', '/index.html'])(
  'has nothing under %s',
  async (path) => {
    expect((await ask(daemon.address, `GET ${path}`)).status).toBe(404);
  },
);
