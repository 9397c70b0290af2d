/** GET and HEAD of an image's url: headers, parts, conditions, and what is refused. */
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Image } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { saveAt, storageAt } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { ask, talk } from './raw-http.ts';

const SIZE_BYTES = 700_000;
const bytes = pngOf({ width: 64, height: 64, sizeBytes: SIZE_BYTES });
const small = pngOf({ width: 64, height: 64, seed: 1 });

let daemon: RunningDaemon;
let image: Image;
let etag: string;
const urlOf = ({ url }: Image, query = '') => `http://${daemon.address}${url}${query}`;
const hexOf = (text: string) => Buffer.from(text, 'latin1').toString('hex');
const partOf = (start: number, end: number) => bytes.subarray(start, end).toString('hex');

let archive: string;
beforeAll(async () => {
  archive = await mkdtemp(join(tmpdir(), 'image-storage-archive-'));
  daemon = await runDaemon({
    IMAGE_STORAGE_PROVIDERS_ARCHIVE_TYPE: 'local',
    IMAGE_STORAGE_PROVIDERS_ARCHIVE_BASE_PATH: archive,
  });
  image = await saveAt(daemon.address, bytes, { metadata: { model: 'flux' } });
  etag = `"${Buffer.from(image.sha256).toString('hex')}"`;
});
afterAll(async () => {
  await daemon.close();
  await rm(archive, { recursive: true });
});

describe('an image', () => {
  it('is served whole, with the headers that keep it safe and cached', async () => {
    const response = await fetch(urlOf(image));
    expect(response.status).toBe(200);
    const { date: _, 'keep-alive': __, ...headers } = Object.fromEntries(response.headers);
    expect(headers).toEqual({
      'accept-ranges': 'bytes',
      'cache-control': 'private, max-age=31536000, immutable, no-transform',
      connection: 'keep-alive',
      'content-disposition': `inline; filename="${image.filename}"; filename*=UTF-8''${image.filename}`,
      'content-length': `${SIZE_BYTES}`,
      'content-security-policy':
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'",
      'content-type': 'image/png',
      'cross-origin-resource-policy': 'same-origin',
      etag,
      'last-modified': new Date(Number(image.createTime!.seconds) * 1000).toUTCString(),
      'referrer-policy': 'no-referrer',
      vary: 'Origin',
      'x-content-type-options': 'nosniff',
      'x-robots-tag': 'none',
    });
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true);
  });

  it('of one small piece is served, too', async () => {
    const response = await fetch(urlOf(await saveAt(daemon.address, small)));
    expect(Buffer.from(await response.arrayBuffer()).equals(small)).toBe(true);
  });

  it('has the same headers for HEAD, and no body', async () => {
    const [got, asked] = await Promise.all([
      ask(daemon.address, `GET ${image.url}`),
      ask(daemon.address, `HEAD ${image.url}`),
    ]);
    expect(asked.body).toBe('');
    expect({ ...asked.headers, date: '' }).toEqual({ ...got.headers, date: '' });
  });

  it('is saved as a file by ?download=1', async () => {
    const { headers } = await fetch(urlOf(image, '?download=1'), { method: 'HEAD' });
    expect(headers.get('content-disposition')).toMatch(/^attachment; filename="/);
  });

  it('is answered while its client closes its side', async () => {
    const heard = await talk(
      daemon.address,
      `GET ${image.url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    expect(heard.length).toBeGreaterThan(SIZE_BYTES);
  });
});

describe('a part', () => {
  const last = SIZE_BYTES - 1;
  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=5-9', 5, 10],
    [`bytes=${last}-`, last, SIZE_BYTES],
    ['bytes=300000-', 300_000, SIZE_BYTES],
    ['bytes=-10', SIZE_BYTES - 10, SIZE_BYTES],
    ['bytes=-99999999', 0, SIZE_BYTES],
    ['bytes=10-99999999', 10, SIZE_BYTES],
  ])('%s is served as 206', async (range, start, end) => {
    const { status, headers, body } = await ask(daemon.address, `GET ${image.url}`, `Range: ${range}`);
    expect([status, headers['content-range']]).toEqual([206, `bytes ${start}-${end - 1}/${SIZE_BYTES}`]);
    expect([headers['content-length'], headers.etag]).toEqual([`${end - start}`, etag]);
    expect(hexOf(body)).toBe(partOf(start, end));
  });

  it.each([`bytes=${SIZE_BYTES}-`, 'bytes=-0'])('%s lies outside', async (range) => {
    const { status, headers, body } = await ask(daemon.address, `GET ${image.url}`, `Range: ${range}`);
    expect([status, headers['content-range']]).toEqual([416, `bytes */${SIZE_BYTES}`]);
    expect([headers['cache-control'], headers.etag]).toEqual(['no-store', undefined]);
    expect(JSON.parse(body)).toMatchObject({ code: 'out_of_range', reason: 'OFFSET_OUT_OF_RANGE' });
  });

  it.each(['bytes=0-1,3-4', 'bytes=9-5', 'bytes=-', 'bytes=a-b', 'lines=1-2', 'bytes'])(
    '%s is none: the whole is served',
    async (range) => {
      const { status, headers } = await ask(daemon.address, `HEAD ${image.url}`, `Range: ${range}`);
      expect([status, headers['content-length']]).toEqual([200, `${SIZE_BYTES}`]);
    },
  );

  it('is served where If-Range names what the client has, else the whole', async () => {
    const statusFor = async (ifRange: string) =>
      (await ask(daemon.address, `HEAD ${image.url}`, 'Range: bytes=0-1', `If-Range: ${ifRange}`)).status;
    const date = new Date(Number(image.createTime!.seconds) * 1000).toUTCString();
    expect(
      await Promise.all([etag, date, `W/${etag}`, '"other"', 'Mon, 01 Jan 2024 00:00:00 GMT'].map(statusFor)),
    ).toEqual([206, 206, 200, 200, 200]);
  });
});

describe('a client that has the image', () => {
  it.each([
    ['its ETag', (tag: string) => `If-None-Match: ${tag}`, 304],
    ['a weak one', (tag: string) => `If-None-Match: "a", W/${tag}`, 304],
    ['any', () => 'If-None-Match: *', 304],
    ['another', () => 'If-None-Match: "a"', 200],
    ['a later date', () => 'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT', 304],
    ['an earlier date', () => 'If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT', 200],
    ['no date', () => 'If-Modified-Since: yesterday', 200],
  ])('and names %s is told so', async (_name, header, status) => {
    const answer = await ask(daemon.address, `GET ${image.url}`, header(etag));
    expect([answer.status, answer.headers.etag]).toEqual([status, etag]);
    if (status === 304) expect([answer.body, answer.headers['cache-control']?.split(',')[0]]).toEqual(['', 'private']);
  });
});

describe('what is no image', () => {
  it.each([
    ['another model', (url: string) => url.replace('/flux/', '/other/')],
    ['another day', (url: string) => url.replace(/\d{4}-\d\d-\d\d/, '2001-01-01')],
    ['another name', (url: string) => url.replace('.png', '.jpg')],
    ['a way out', () => '/outputs/images/generations/2001-01-01/flux/..%2f..%2f..%2fetc%2fpasswd'],
    ['a way out, plain', () => '/outputs/images/generations/../../../../etc/passwd'],
    ['the record', (url: string) => `${url.replace('/images/', '/metadata/')}.json`],
    ['the catalog', () => '/outputs/metadata/catalog.db'],
  ])('%s is answered 404 as JSON that nobody keeps', async (_name, change) => {
    const { status, headers, body } = await ask(daemon.address, `GET ${change(image.url)}`);
    expect([status, headers['cache-control'], headers.etag]).toEqual([404, 'no-store', undefined]);
    expect(JSON.parse(body)).toMatchObject({ code: 'not_found' });
  });

  it('in the trash is none', async () => {
    const { url, filename } = await saveAt(daemon.address, small);
    await storageAt(daemon.address).delete({ filenames: [filename] });
    expect((await ask(daemon.address, `GET ${url}`)).status).toBe(404);
  });

  it('by another method is refused, and says which there are', async () => {
    const { status, headers, body } = await ask(daemon.address, `PUT ${image.url}`);
    expect([status, headers.allow, JSON.parse(body).reason]).toEqual([405, 'GET, HEAD', 'METHOD_NOT_ALLOWED']);
  });
});

describe('an image of another provider', () => {
  it('is served under its key, and by its provider', async () => {
    const { url } = await saveAt(daemon.address, small, { provider: 'archive' });
    const statusOf = async (query: string) => (await ask(daemon.address, `GET ${url}${query}`)).status;
    expect(await Promise.all(['', '?provider=archive', '?provider=local', '?provider=none'].map(statusOf))).toEqual([
      200, 200, 404, 404,
    ]);
  });
});

describe('bytes that are not those that were saved', () => {
  it('are cut before the last one', async () => {
    const damaged = await saveAt(daemon.address, bytes);
    const content = readFileSync(damaged.path!);
    content[SIZE_BYTES / 2]! ^= 1;
    writeFileSync(damaged.path!, content);
    const heard = await talk(daemon.address, `GET ${damaged.url} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    const { headers, body } = { headers: heard.split('\r\n\r\n')[0], body: heard.slice(heard.indexOf('\r\n\r\n') + 4) };
    expect(headers).toContain(`content-length: ${SIZE_BYTES}`);
    expect(body.length).toBe(SIZE_BYTES - 1);
  });

  it('that are of another length are an error', async () => {
    const damaged = await saveAt(daemon.address, bytes);
    writeFileSync(damaged.path!, bytes.subarray(0, 1000));
    const { status, headers, body } = await ask(daemon.address, `GET ${damaged.url}`);
    expect([status, headers['cache-control'], headers.etag]).toEqual([500, 'no-store', undefined]);
    expect(JSON.parse(body)).toMatchObject({ code: 'data_loss', reason: 'BYTES_CORRUPT' });
  });
});
