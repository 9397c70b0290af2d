/** Secrets of a daemon, which are said in no log line, answer, metric or print of its configuration. */
import { execFile } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { createLogger } from '../../src/logging.ts';
import { talk } from '../http/raw-http.ts';
import { COMMAND } from '../support/command.ts';
import { outcomeOf, upload } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

const folder = mkdtempSync(join(tmpdir(), 'image-storage-'));
const logFile = join(folder, 'log');
const tokensFile = join(folder, 'tokens');
const [token, stranger, mistaken] = [newToken(), newToken(), newToken()];
const key = 'CANARY-of-the-url-keys-0123456789abcdef';
const secretKey = 'CANARYofthebucket0123456789';
const secrets = new Map([
  ['the token', token],
  ['an unknown token', stranger],
  ['a token in place of its sha256', mistaken],
  ['the key of links', key],
  ['the secret of the bucket', secretKey],
]);
const settings = {
  IMAGE_STORAGE_AUTH_TOKENS_FILE: tokensFile,
  IMAGE_STORAGE_AUTH_URL_KEYS: key,
  IMAGE_STORAGE_PROVIDERS_S3_BUCKET: 'images',
  IMAGE_STORAGE_PROVIDERS_S3_REGION: 'auto',
  IMAGE_STORAGE_PROVIDERS_S3_ACCESS_KEY: 'id',
  IMAGE_STORAGE_PROVIDERS_S3_SECRET_KEY: secretKey,
  IMAGE_STORAGE_PROVIDERS_S3_ENDPOINT: 'http://127.0.0.1:1',
  IMAGE_STORAGE_PROVIDERS_S3_REQUIRED: 'false',
  IMAGE_STORAGE_PROVIDERS_S3_STATE_DIR: join(folder, 'state'),
  IMAGE_STORAGE_PROVIDERS_LOCAL_CREATE: 'true',
};
/** All that the daemon says, by where. */
const said: (readonly [where: string, text: string])[] = [];
const say = (where: string, text: string) => said.push([where, text]);

let daemon: RunningDaemon;
beforeAll(async () => {
  writeFileSync(tokensFile, tokenLine('worker', token, ['read', 'write', 'delete', 'admin']));
  const log = createLogger({ level: 'trace', format: 'json', access: true }, { fd: openSync(logFile, 'a') });
  daemon = await runDaemon(settings, { log });
});
afterAll(async () => {
  await daemon.close();
  rmSync(folder, { recursive: true });
});

const heard = async (what: string, answer: Response) =>
  say(what, JSON.stringify([...answer.headers]) + (await answer.text()));

it('answers sessions, links and calls', async () => {
  const origin = `http://${daemon.address}`;
  const bearer = { authorization: `Bearer ${token}` };
  const begun = await fetch(`${origin}/session`, { method: 'POST', headers: bearer });
  const cookie = begun.headers.get('set-cookie')!.split(';')[0]!;
  secrets.set('the session', cookie.split('=')[1]!);
  say('a session', await begun.text());
  const images = createClient(ImageStorage, createGrpcTransport({ baseUrl: origin }));
  const { image } = await images.save(upload(pngOf({ width: 8, height: 8 })), { headers: bearer });
  const wish = { body: JSON.stringify({ filename: image!.filename }), method: 'POST' };
  const signed = await fetch(`${origin}/sign`, { ...wish, headers: { ...bearer, 'content-type': 'application/json' } });
  const { url } = (await signed.json()) as { url: string };
  secrets.set('the signature', url.split('signature=')[1]!);
  const readers = [bearer, { cookie }, { authorization: `Bearer ${stranger}` }, { cookie: `${cookie}x` }, {}];
  const paths = ['/images', '/images/none', image!.url, url, `${url}x`, '/metrics', '/session', '/nothing'];
  for (const path of paths) {
    for (const headers of readers) await heard(`GET ${path}`, await fetch(origin + path, { headers }));
  }
  for (const headers of readers) {
    const stats = { method: 'POST', body: '{}', headers: { ...headers, 'content-type': 'application/json' } };
    await heard('Stats', await fetch(`${origin}/imagestorage.v1.ImageStorage/Stats`, stats));
    say('Delete', await outcomeOf(images.delete({ filenames: ['a.png'] }, { headers })));
  }
  expect(said.length).toBeGreaterThan(paths.length * readers.length);
});

it('hears them where they do not belong', async () => {
  const origin = `http://${daemon.address}`;
  for (const secret of [token, stranger]) {
    const body = JSON.stringify({ filename: secret });
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
    await fetch(`${origin}/sign`, { method: 'POST', headers, body });
    await fetch(`${origin}/images?token=${secret}`, { headers });
    await fetch(`${origin}/outputs/${secret}`, { headers: { authorization: secret } });
    await fetch(`${origin}/${secret}`, { headers: { authorization: `Basic ${secret}` } });
    const broken = ['GET /images HTTP/1.1', 'Host: localhost', `Authorization: Bearer ${secret}`, 'X: \x01', '', ''];
    say('a broken request', await talk(daemon.address, broken.join('\r\n'), 1_000));
    say('broken frames', await talk(daemon.address, `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${secret}`, 1_000));
  }
  writeFileSync(tokensFile, `${tokenLine('worker', token, ['read'])}\nci ${mistaken} read`);
  const problem = 'auth.tokensFile cannot be used';
  await expect.poll(() => readFileSync(logFile, 'utf8')).toContain(problem);
});

it('prints its configuration', async () => {
  const env = { ...process.env, ...settings };
  const print = (...args: string[]) => promisify(execFile)(process.execPath, [COMMAND, 'config', ...args], { env });
  const printed = await Promise.all([print('print'), print('print', '--json'), print('check')]);
  for (const [at, { stdout, stderr }] of printed.entries()) say(`config ${at}`, stdout + stderr);
  expect(printed[0]!.stdout).toContain('urlKeys');
});

it('says none of them anywhere', async () => {
  const log = readFileSync(logFile, 'utf8');
  expect(log).toContain('"method":"Save"');
  expect(log).toContain('a connection failed');
  expect(said.some(([where, text]) => where === 'GET /metrics' && text.includes('grpc_server_'))).toBe(true);
  const told = [...said, ['the log', log] as const];
  for (const [what, secret] of secrets) {
    expect(secret.length).toBeGreaterThan(20);
    const inBytes = [...Buffer.from(secret)].join(',');
    const inHex = Buffer.from(secret).toString('hex');
    const found = told.flatMap(([where, text]) =>
      [secret, inBytes, inHex].some((each) => text.includes(each)) ? [where] : [],
    );
    expect([what, found]).toEqual([what, []]);
  }
});
