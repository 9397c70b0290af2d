/** How an object is read: by one request that we sign ourselves, and by the SDK where that is not enough. */
import type { IncomingMessage } from 'node:http';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ByteRange, ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { readSmall } from '../../src/storage/bucket/reading.ts';
import { collect } from '../support/bytes.ts';
import { type AnsweringServer, nextOf, startAnsweringServer } from './answering-server.ts';

const KEY = 'outputs/x y.json';
const TEXT = '{"a": "fox"}';

interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
  /** The connection ends before the body does. */
  isCut?: boolean;
}

const FOX: Answer = { status: 200, headers: { etag: '"e1"', 'x-amz-meta-nonce': 'n' }, body: TEXT };

const RANGE: ByteRange = { offset: 2, length: 3 };
const PART: Answer = { status: 206, headers: { etag: '"e1"', 'content-range': 'bytes 2-4/12' }, body: 'a":' };

let server: AnsweringServer;
let objects: ObjectStore;
let requests: IncomingMessage[];
/** The last one is given again and again. */
let answers: Answer[];

beforeEach(async () => {
  requests = [];
  server = await startAnsweringServer((request, response) => {
    requests.push(request);
    const { status, headers, body = '', isCut } = nextOf(answers);
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
    if (isCut) response.write(body.slice(0, 5), () => response.destroy());
    else response.end(body);
  });
  ({ objects } = server);
});

afterEach(() => server[Symbol.asyncDispose]());

async function read(range?: ByteRange) {
  const { body, ...object } = await objects.get(KEY, range);
  return { ...object, text: (await collect(body)).toString() };
}

it('reads an object by one request, and the next ones over the same connection', async () => {
  answers = [FOX];
  const fox = { etag: 'e1', size: TEXT.length, metadata: { nonce: 'n' }, text: TEXT };
  for (let count = 0; count < 3; count += 1) expect(await read()).toEqual(fox);
  expect(requests.map(({ url }) => url)).toEqual(Array(3).fill('/b/it%20%28is%29/outputs/x%20y.json'));
  expect(new Set(requests.map(({ socket }) => socket)).size).toBe(1);
});

it('reads a part of an object, and knows the size of the whole', async () => {
  answers = [PART];
  expect(await read(RANGE)).toMatchObject({ size: 12, text: 'a":' });
  expect(requests.map(({ headers }) => headers.range)).toEqual(['bytes=2-4']);
});

it.each([301, 307, 400, 403, 404])('leaves an answer of status %i to the SDK, which asks again', async (status) => {
  answers = [{ status }, FOX];
  expect(await read()).toMatchObject({ etag: 'e1', metadata: { nonce: 'n' }, text: TEXT });
  expect(requests).toHaveLength(2);
  expect(requests[1]!.url).toContain('/b/it%20%28is%29/outputs/x%20y.json');
});

it.each([
  [404, 'NoSuchKey', 'not_found'],
  [503, 'SlowDown', 'unavailable'],
  [500, 'InternalError', 'unavailable'],
  [429, 'TooManyRequests', 'unavailable'],
])('takes %i %s for what it is, and does not ask again', async (status, code, failure) => {
  answers = [{ status, body: `<Error><Code>${code}</Code><Message>no</Message></Error>` }];
  await expect(objects.get(KEY)).rejects.toMatchObject({ failure, answer: { status, code } });
  expect(requests).toHaveLength(1);
});

it.each<[string, Answer, ByteRange | undefined]>([
  ['has no ETag', { status: 200, body: TEXT }, undefined],
  ['ignores the range', FOX, RANGE],
  ['has another range', { ...PART, headers: { etag: '"e1"', 'content-range': 'bytes 0-2/12' } }, RANGE],
  ['has a range that nobody asked for', PART, undefined],
])('refuses an answer that %s', async (_, answer, range) => {
  answers = [answer];
  await expect(objects.get(KEY, range)).rejects.toMatchObject({ failure: 'unavailable' });
});

it('reads again what broke off', async () => {
  answers = [{ ...FOX, isCut: true }, FOX];
  expect(await readSmall(objects, KEY)).toEqual({ etag: 'e1', bytes: Buffer.from(TEXT) });
  expect(requests).toHaveLength(2);
});

it.each([
  ['learns the time of the service from an answer that refuses nothing', {}, 600],
  ['learns no time from the answer of a cache', { age: '600' }, 0],
])('%s', async (_, headers, aheadSeconds) => {
  const date = new Date(Date.now() + 600_000).toUTCString();
  answers = [{ ...FOX, headers: { ...FOX.headers, ...headers, date } }, FOX];
  await read();
  await read();
  const iso = `${requests[1]!.headers['x-amz-date']}`.replace(/^(....)(..)(..T..)(..)/, '$1-$2-$3:$4:');
  expect(Math.abs(Date.parse(iso) - Date.now() - aheadSeconds * 1000)).toBeLessThan(60_000);
});

it('signs with the time of the service once that refuses ours', async () => {
  const date = new Date(Date.now() + 3_600_000).toUTCString();
  const body = '<Error><Code>RequestTimeTooSkewed</Code></Error>';
  answers = [{ status: 403, headers: { date }, body }, FOX];
  expect(await read()).toMatchObject({ text: TEXT });
  const [ours, theirs] = requests.map(({ headers }) => `${headers['x-amz-date']}`);
  expect(theirs!.slice(0, 13) > ours!.slice(0, 13)).toBe(true);
  expect(requests).toHaveLength(2);
});
