/** Whom a request is from behind proxies: those that are trusted say it, and nobody else. */
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { forwarded, trustProxies } from '../../src/http/forwarded.ts';
import { upload } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { ask } from './raw-http.ts';

const png = pngOf({ width: 8, height: 8 });
const caller = { peer: '10.0.0.9', connection: 1, isLocal: true };

describe('a chain of proxies', () => {
  const proxies = trustProxies(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', 'unix']);

  it.each([
    ['10.1.2.3', true],
    ['11.1.2.3', false],
    ['192.0.2.1', true],
    ['192.0.2.2', false],
    ['::ffff:10.1.2.3', true],
    ['2001:db8:1::1', true],
    ['2001:db9::1', false],
    [undefined, true],
  ])('has %s: %s', (address, isTrusted) => {
    expect(proxies.has(address)).toBe(isTrusted);
    expect(trustProxies([]).has(address)).toBe(false);
  });

  it.each([
    ['198.51.100.7', '198.51.100.7'],
    // What a client writes itself stands in front.
    ['203.0.113.1, 198.51.100.7', '198.51.100.7'],
    ['203.0.113.1, 198.51.100.7, 10.0.0.2,192.0.2.1', '198.51.100.7'],
    ['10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['198.51.100.7:4711', '198.51.100.7'],
    ['[2001:db9:1:2:3::4]:4711', '2001:db9:1:2::/64'],
    ['2001:db9:1:2:3::4', '2001:db9:1:2::/64'],
    ['::ffff:198.51.100.7', '198.51.100.7'],
    ['198.51.100.7, unknown', '10.0.0.9'],
    ['198.51.100.7, unknown, 10.0.0.2', '10.0.0.2'],
    ['', '10.0.0.9'],
    ['1.2.3.4.5', '10.0.0.9'],
  ])('%s is from %s', (chain, peer) => {
    expect(forwarded(caller, { 'x-forwarded-for': chain }, proxies).peer).toBe(peer);
  });

  it.each([
    ['https', true],
    ['http', false],
    ['HTTPS', true],
    // The one that we know has the last word.
    ['https, http', false],
    ['', undefined],
  ])('that says %o is secure: %s', (protocol, isSecure) => {
    expect(forwarded(caller, { 'x-forwarded-proto': protocol }, proxies).isSecure).toBe(isSecure);
  });

  it('leaves the one local who is, and nobody else', () => {
    const isLocal = (chain?: string) => forwarded(caller, { 'x-forwarded-for': chain }, proxies).isLocal;
    expect(isLocal()).toBe(true);
    expect(isLocal('127.0.0.1')).toBe(true);
    expect(isLocal('198.51.100.7')).toBe(false);
  });
});

describe('a daemon behind a proxy', () => {
  const token = newToken();
  const lines: Record<string, unknown>[] = [];
  const note = (fields: object) => lines.push(fields as Record<string, unknown>);
  const log = { debug: note, info: note, warn: note, error: note };
  let [trusting, other]: RunningDaemon[] = [];
  beforeAll(async () => {
    const tokens = { IMAGE_STORAGE_AUTH_TOKENS: tokenLine('worker', token, ['read', 'write', 'delete']) };
    trusting = await runDaemon({ ...tokens, IMAGE_STORAGE_HTTP_TRUSTED_PROXIES: '127.0.0.0/8' }, { log });
    other = await runDaemon({ ...tokens, IMAGE_STORAGE_HTTP_TRUSTED_PROXIES: '192.0.2.1,unix' }, { log });
  });
  afterAll(async () => {
    await trusting!.close();
    await other!.close();
  });

  const begin = (address: string) =>
    ask(address, 'POST /session', `Authorization: Bearer ${token}`, 'Content-Length: 0', 'X-Forwarded-Proto: https');

  it('makes its cookie secure where that one says https', async () => {
    expect((await begin(trusting!.address)).headers['set-cookie']).toMatch(/; Secure$/);
    expect((await begin(other!.address)).headers['set-cookie']).not.toContain('Secure');
    expect((await begin(`unix:${other!.socket}`)).headers['set-cookie']).toMatch(/; Secure$/);
  });

  it.each(['HTTP/1.1', 'gRPC'])('logs whom that one names, over %s', async (protocol) => {
    const headers = { authorization: `Bearer ${token}`, 'x-forwarded-for': '203.0.113.1, 198.51.100.7' };
    for (const { address } of [trusting!, other!]) {
      if (protocol === 'gRPC') await createClient(ImageStorage, grpcTo(address)).save(upload(png), { headers });
      else await fetch(`http://${address}/images`, { method: 'POST', headers, body: form() });
    }
    await expect.poll(() => lines.filter(({ method }) => isSave(method)).length).toBe(2);
    expect(lines.splice(0).flatMap(({ method, peer }) => (isSave(method) ? [peer] : []))).toEqual([
      '198.51.100.7',
      '127.0.0.1',
    ]);
  });
});

it.each([
  ['once', {}, 1],
  ['not where it is allowed', { IMAGE_STORAGE_INSECURE: 'true' }, 0],
])('a daemon that asks nobody for a token warns of a proxy before it, %s', async (_, env, count) => {
  const warnings: string[] = [];
  const log = { debug() {}, info() {}, warn: (_: object, text: string) => void warnings.push(text), error() {} };
  await using open = await runDaemon(env, { log });
  await fetch(`http://${open.address}/images`);
  const said = () => warnings.filter((text) => text.includes('behind a proxy'));
  expect(said()).toEqual([]);
  for (const name of ['x-forwarded-for', 'forwarded', 'x-forwarded-for'])
    await fetch(`http://${open.address}/images`, { headers: { [name]: '198.51.100.7' } });
  expect(said()).toHaveLength(count);
});

function grpcTo(address: string) {
  return createGrpcTransport({ baseUrl: `http://${address}` });
}

function form(): FormData {
  const body = new FormData();
  body.append('file', new Blob([new Uint8Array(png)]));
  return body;
}

function isSave(method: unknown): boolean {
  return method === 'Save' || method === 'POST /images';
}
