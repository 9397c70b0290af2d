/** The lines of saves, gets and deletes that succeeded: what they name, and what they never do. */
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Image, ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { requestIdOf } from '../../src/rpc/request-id.ts';
import type { Logger } from '../../src/storage/domain/logger.ts';
import { all, saveAt, storageAt, upload } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

type Line = Record<string, unknown>;

const metadata = { prompt: 'canary-prompt', model: 'flux', parametersJson: '{"seed":"canary-seed"}' };
const bytes = pngOf({ width: 8, height: 8 });
const peer = '127.0.0.1';
const provider = 'local';
const ms = expect.any(Number);
const requestId = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-z]+$/);

let daemon: RunningDaemon;
let quiet: RunningDaemon;
let lines: Line[] = [];
let image: Image;

const at = (level: string) => (fields: object, msg: string) => void lines.push({ level, msg, ...fields });
const log: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
/** Those of calls at info, once there are so many. */
const callsOf = async (count: number) => {
  await expect.poll(() => lines.filter(({ level, msg }) => level === 'info' && msg === 'call')).toHaveLength(count);
  return lines
    .filter(({ level, msg }) => level === 'info' && msg === 'call')
    .map(({ level: _, msg: __, ...line }) => line);
};

beforeAll(async () => {
  daemon = await runDaemon({}, { log });
  quiet = await runDaemon({ IMAGE_STORAGE_LOG_ACCESS: 'false' }, { log });
  image = await saveAt(daemon.address, bytes, { metadata });
});
beforeEach(() => {
  lines = [];
});
afterAll(() => Promise.all([daemon.close(), quiet.close()]));

describe.each([
  ['gRPC', () => storageAt(daemon.address)],
  [
    'Connect',
    () =>
      createClient(ImageStorage, createConnectTransport({ baseUrl: `http://${daemon.address}`, httpVersion: '1.1' })),
  ],
])('over %s', (_, client) => {
  it('a save, a get and a delete have one line each', async () => {
    const { image: saved } = await client().save(upload(bytes, { metadata }));
    const { filename } = saved!;
    await all(client().get({ filename, limit: 10n }));
    await client().delete({ filenames: [filename] });
    const about = { provider, ms, peer, requestId };
    expect(await callsOf(3)).toEqual([
      { method: 'Save', filename, bytes: bytes.length, ...about },
      { method: 'Get', filename, bytes: 10, ...about },
      { method: 'Delete', filename, ms, peer, requestId },
    ]);
    expect(JSON.stringify(lines)).not.toContain('canary');
  });
});

it('a line has the request id of its client', async () => {
  await all(storageAt(daemon.address).get({ filename: image.filename }, { headers: { 'x-request-id': 'job-7/3' } }));
  expect(await callsOf(1)).toMatchObject([{ requestId: 'job-7/3' }]);
});

it('the image behind a URL has a line', async () => {
  await (await fetch(`http://${daemon.address}${image.url}`, { headers: { 'x-request-id': 'a b' } })).arrayBuffer();
  const { filename } = image;
  expect(await callsOf(1)).toEqual([
    { method: 'GET image', filename, bytes: bytes.length, provider, ms, peer, requestId },
  ]);
});

it('a form and a DELETE have lines, too', async () => {
  const form = new FormData();
  form.set('prompt', metadata.prompt);
  form.set('file', new Blob([bytes]), 'fox.png');
  const posted = await fetch(`http://${daemon.address}/images`, { method: 'POST', body: form });
  const { filename } = ((await posted.json()) as { image: { filename: string } }).image;
  await fetch(`http://${daemon.address}/images/${filename}`, { method: 'DELETE' });
  expect(await callsOf(2)).toEqual([
    { method: 'POST /images', filename, bytes: bytes.length, provider, ms, peer, requestId },
    { method: 'DELETE /images/NAME', filename, ms, peer, requestId },
  ]);
  expect(JSON.stringify(lines)).not.toContain('canary');
});

it('a delete of several says how many there were', async () => {
  const { filename } = await saveAt(daemon.address, bytes, { metadata });
  const { filename: other } = await saveAt(daemon.address, bytes, { metadata });
  lines = [];
  await storageAt(daemon.address).delete({ filenames: [filename, other, '20240101_000000_a_aaaaaa.png'], provider });
  expect(await callsOf(1)).toEqual([{ method: 'Delete', images: 2, provider, ms, peer, requestId }]);
});

it('a line has the name of the token, and the address beside it', async () => {
  const token = newToken();
  await using locked = await runDaemon(
    { IMAGE_STORAGE_AUTH_TOKENS: tokenLine('worker', token, ['read', 'write']) },
    { log },
  );
  const headers = { authorization: `Bearer ${token}` };
  const { image: saved } = await storageAt(locked.address).save(upload(bytes), { headers });
  const { url, filename } = saved!;
  await (await fetch(`http://${locked.address}${url}`, { headers })).arrayBuffer();
  await all(
    createClient(ImageStorage, createConnectTransport({ baseUrl: `http://${locked.address}`, httpVersion: '1.1' })).get(
      { filename },
      { headers },
    ),
  );
  const about = { filename, bytes: bytes.length, provider, ms, peer, token: 'worker', requestId };
  expect(await callsOf(3)).toEqual(['Save', 'GET image', 'Get'].map((method) => ({ method, ...about })));
  expect(JSON.stringify(lines)).not.toContain(token);
});

it('log.access: false leaves them at debug', async () => {
  await saveAt(quiet.address, bytes, { metadata });
  await expect.poll(() => lines).toContainEqual({ level: 'debug', msg: 'call', method: 'Save', code: 'OK', ms });
  expect(await callsOf(0)).toEqual([]);
});

describe('a request id', () => {
  it.each(['a', 'A-1.b_c:d+e/f=g@h', 'x'.repeat(128)])('of the client is kept: %s', (given) => {
    expect(requestIdOf(given)).toBe(given);
  });

  it.each(['', 'a b', 'a\nb', '"', 'x'.repeat(129), 'é', undefined, null])('is made in place of %j', (given) => {
    expect(requestIdOf(given)).toMatch(/^[0-9a-f]{8}-[0-9a-z]+$/);
    expect(requestIdOf(given)).not.toBe(requestIdOf(given));
  });
});
