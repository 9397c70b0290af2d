/** How an object gets to S3: by one request over a connection that stays, and by the SDK where that is not enough. */
import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ObjectStore, Payload } from '../../src/storage/bucket/object-store.ts';
import { sha256Of } from '../support/bytes.ts';
import { type AnsweringServer, nextOf, startAnsweringServer } from './answering-server.ts';

const BYTES = Buffer.alloc(3_000_000, 'image');
const HEADERS = { contentType: 'image/png', metadata: { nonce: 'n' } };
const SAVED: Answer = { status: 200, etag: '"e"' };

interface Answer {
  status: number;
  etag?: string;
  body?: string;
}

let server: AnsweringServer;
let objects: ObjectStore;
let requests: IncomingMessage[];
let bodies: Buffer[];
/** The last one is given again and again. */
let answers: Answer[];

beforeEach(async () => {
  [requests, bodies] = [[], []];
  server = await startAnsweringServer(async (request, response) => {
    requests.push(request);
    const body = await buffer(request).catch(() => undefined);
    if (body === undefined) return;
    bodies.push(body);
    const { status, etag, body: text } = nextOf(answers);
    response.writeHead(status, etag === undefined ? {} : { etag }).end(text);
  });
  ({ objects } = server);
});

afterEach(() => server[Symbol.asyncDispose]());

const put = (payload: Payload) => objects.putNew('outputs/x y.png', payload, HEADERS);

function payloadOf(parts: Buffer[]): Payload {
  const whole = Buffer.concat(parts);
  return { size: whole.length, sha256: sha256Of(whole), open: () => parts };
}

it.each([
  ['in one piece', [BYTES.subarray(0, 100_000)]],
  ['in several pieces', [BYTES, BYTES]],
])('sends bytes %s by one request, and the next ones over the same connection', async (_, parts) => {
  answers = [SAVED];
  for (let count = 0; count < 3; count += 1) expect(await put(payloadOf(parts))).toEqual({ etag: 'e' });
  expect(requests).toHaveLength(3);
  expect(new Set(requests.map(({ socket }) => socket)).size).toBe(1);
  expect(bodies[2]!.equals(Buffer.concat(parts))).toBe(true);
  expect(requests[2]).toMatchObject({
    url: '/b/it%20%28is%29/outputs/x%20y.png',
    headers: { 'if-none-match': '*', 'content-type': 'image/png', 'x-amz-meta-nonce': 'n' },
  });
});

it.each([301, 307, 400, 403, 404])(
  'leaves an answer of status %i to the SDK, which sends the bytes again',
  async (status) => {
    answers = [{ status }, SAVED];
    expect(await put(payloadOf([BYTES, BYTES]))).toEqual({ etag: 'e' });
    expect(bodies.map((body) => sha256Of(body))).toEqual(Array(2).fill(sha256Of(Buffer.concat([BYTES, BYTES]))));
    expect(requests[1]!.headers).toMatchObject({ 'if-none-match': '*', 'x-amz-meta-nonce': 'n' });
  },
);

it.each<[string, Answer, object]>([
  ['412', { status: 412 }, { failure: 'precondition', maybeApplied: false }],
  ['409', { status: 409 }, { failure: 'unavailable', maybeApplied: false }],
  ['503', { status: 503 }, { failure: 'unavailable', maybeApplied: true }],
  ['501', { status: 501 }, { failure: 'misconfigured' }],
  ['200 without an ETag', { status: 200 }, { failure: 'unavailable', maybeApplied: true }],
  [
    '200 that is an error',
    { status: 200, etag: '"e"', body: '<?xml version="1.0"?>\n<Error><Code>InternalError</Code></Error>' },
    { failure: 'unavailable', maybeApplied: true },
  ],
])('takes %s for what it is', async (_, answer, failure) => {
  answers = [answer];
  await expect(put(payloadOf([BYTES]))).rejects.toMatchObject(failure);
  expect(requests).toHaveLength(1);
});

it('breaks off where the bytes cannot be read, and what was sent of them is none', async () => {
  answers = [SAVED];
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield BYTES;
    throw new Error('the disk broke');
  }
  const payload = { ...payloadOf([BYTES, BYTES]), open: broken };
  await expect(put(payload)).rejects.toMatchObject({ failure: 'unavailable' });
  expect(await put(payloadOf([BYTES]))).toEqual({ etag: 'e' });
  expect(bodies).toHaveLength(1);
});
