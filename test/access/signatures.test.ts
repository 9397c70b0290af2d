/** What signatures hold together: keys, links and sessions, by a clock that the test sets. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createLinks, makerOf } from '../../src/auth/links.ts';
import type { Scope } from '../../src/auth/scope.ts';
import { createSessions } from '../../src/auth/sessions.ts';
import { newUrlKey, parseUrlKeys } from '../../src/auth/signed-url.ts';
import { parseTokens, type TokenEntry, tokenLine } from '../../src/auth/tokens.ts';
import { openUrlKeys } from '../../src/auth/url-keys.ts';

const HOUR_MS = 3600 * 1000;
const DAY_MS = 24 * HOUR_MS;
/** Ten minutes into an hour. */
const BEGIN = Date.parse('2026-11-29T12:10:00Z');

const folder = mkdtempSync(join(tmpdir(), 'image-storage-'));
afterAll(() => rmSync(folder, { recursive: true }));

const [first, second] = [newUrlKey(), newUrlKey()];
const keysOf = (...secrets: string[]) => openUrlKeys(secrets.join('\n'), '');
const entryOf = (
  name: string,
  scopes: Scope[] = ['read'],
  { token = name, expires = undefined as Date | undefined } = {},
) => parseTokens(tokenLine(name, token, scopes, expires))[0]!;

describe('keys', () => {
  it('are named the same wherever they are, and the first signs', async () => {
    const [one, other] = [keysOf(first, second), keysOf(second)];
    expect((await one.signing()).secret).toBe(first);
    expect(one.known()[1]).toEqual(other.known()[0]);
    expect(parseUrlKeys(`# old\n\n ${second}\r\n`)).toEqual(other.known());
  });

  it.each([
    ['is short', 'sesame', 'line 1: a key has at least 32'],
    ['has spaces', `${first}\n${second} x`, 'line 2: a key has at least 32'],
    ['comes twice', `${first}\n${first}`, 'line 2: another line has this key'],
    ['is a comment', '# none', 'has no key'],
  ])('are refused by their line where one %s, and not quoted', (_what, text, problem) => {
    expect(() => parseUrlKeys(text)).toThrow(problem);
    for (const secret of [first, second, 'sesame']) expect(() => parseUrlKeys(text)).not.toThrow(secret);
  });

  it('are made once, at first use, for their user alone, and stay', async () => {
    const file = join(folder, 'url-keys');
    const keys = openUrlKeys(undefined, file);
    expect(keys.known()).toEqual([]);
    writeFileSync(`${file}.tmp`, 'of a start that was killed', { mode: 0o666 });
    const [one, same] = await Promise.all([keys.signing(), keys.signing()]);
    expect(same).toBe(one);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toBe(`${one.secret}\n`);
    expect(openUrlKeys(undefined, file).known()).toEqual([one]);
    expect(readdirSync(folder)).toEqual(['url-keys']);
  });
});

describe('keys in a file', () => {
  it('that cannot be used sign nothing, and are not replaced', async () => {
    const file = join(folder, 'no-keys');
    writeFileSync(file, 'sesame');
    const keys = openUrlKeys(undefined, file);
    expect(() => keys.check()).toThrow('line 1: a key has at least 32');
    expect(keys.known()).toEqual([]);
    await expect(keys.signing()).rejects.toThrow('EEXIST');
    expect(readFileSync(file, 'utf8')).toBe('sesame');
  });

  it('whose folder is not there may come later', async () => {
    const later = join(folder, 'later');
    const keys = openUrlKeys(undefined, join(later, 'url-keys'));
    keys.check();
    await expect(keys.signing()).rejects.toThrow('ENOENT');
    mkdirSync(later);
    expect(keys.known()).toEqual([]);
    expect(await keys.signing()).toBe(keys.known()[0]);
  });
});

describe('a link', () => {
  const target = { path: '/outputs/images/generations/2026-11-29/flux/a.png', query: 'width=640&download=1' };
  let entries: TokenEntry[] | undefined;
  let now = BEGIN;
  const openLinks = (keys = keysOf(first), clientScopes: Scope[] = [], hasClientCa = false) =>
    createLinks({ keys, tokens: () => entries, hasClientCa, clientScopes, now: () => now });
  const reasonOf = (found: ReturnType<ReturnType<typeof openLinks>['find']>) =>
    found !== undefined && 'reason' in found ? found.reason : found?.name;

  it('holds for its path and its whole query', async () => {
    entries = [entryOf('worker')];
    now = BEGIN;
    const links = openLinks();
    const { query } = await links.sign(target, makerOf.token('worker'), 3600);
    expect(query).toMatch(/^width=640&download=1&by=worker&expires=\d+&key=[\w-]{8}&signature=[\w-]{43}$/);
    const open = (path: string, text: string) => reasonOf(links.find({ path, query: text }));
    expect(open(target.path, query)).toBe('worker');
    // As a proxy or a page may write it again.
    expect(open(target.path, query.replace('worker', '%77orker'))).toBe('worker');
    const moved = [query.replace('640', '1440'), query.replace('&download=1', ''), `x=1&${query}`, `${query}&x=1`];
    const forged = [query.replace(/expires=\d/, 'expires=9'), query.replace('by=worker', 'by=ci')];
    const cut = [query.slice(0, -1), query.replace('width=640&download=1', 'download=1&width=640')];
    for (const text of [...moved, ...forged, ...cut])
      expect([text, open(target.path, text)]).toEqual([text, 'TOKEN_UNKNOWN']);
    expect(open(target.path.replace('a.png', 'b.png'), query)).toBe('TOKEN_UNKNOWN');
    for (const text of ['', 'signature=x', `${query}&signature=x`, query.replace(/expires=\d+/, 'expires=1e9')])
      expect([text, links.find({ path: target.path, query: text })]).toEqual([text, undefined]);
  });

  it('ends at a full hour, so that those of one hour are the same', async () => {
    entries = [entryOf('worker')];
    now = BEGIN;
    const links = openLinks();
    const sign = () => links.sign(target, 'worker', 3600);
    const { query, endsAt } = await sign();
    expect(new Date(endsAt).toISOString()).toBe('2026-11-29T14:00:00.000Z');
    now += 45 * 60_000;
    expect((await sign()).query).toBe(query);
    now = endsAt - 1;
    expect(reasonOf(links.find({ ...target, query }))).toBe('worker');
    now = endsAt;
    expect(reasonOf(links.find({ ...target, query }))).toBe('TOKEN_EXPIRED');
  });

  it('ends with its token: taken back, replaced, expired, or without read', async () => {
    now = BEGIN;
    const links = openLinks();
    const expires = new Date(BEGIN + HOUR_MS);
    entries = [entryOf('worker', ['read'], { expires })];
    const { query } = await links.sign(target, 'worker', 7 * 24 * 3600);
    const state = () => reasonOf(links.find({ ...target, query }));
    expect(state()).toBe('worker');
    expect(links.find({ ...target, query })).toMatchObject({ endsAt: expires.getTime() });
    for (const others of [
      [],
      undefined,
      [entryOf('worker', ['write'], { expires })],
      [entryOf('worker', ['read'], { token: 'new' })],
    ]) {
      entries = others;
      expect(state()).toBe('TOKEN_UNKNOWN');
    }
    entries = [entryOf('worker', ['read'], { expires })];
    now = expires.getTime();
    expect(state()).toBe('TOKEN_EXPIRED');
  });

  it('ends with its key', async () => {
    entries = [entryOf('worker')];
    now = BEGIN;
    const { query } = await openLinks(keysOf(first)).sign(target, 'worker', 60);
    expect(reasonOf(openLinks(keysOf(second, first)).find({ ...target, query }))).toBe('worker');
    expect(reasonOf(openLinks(keysOf(second)).find({ ...target, query }))).toBe('TOKEN_UNKNOWN');
  });

  it('that nobody was asked for ends when somebody is', async () => {
    entries = undefined;
    now = BEGIN;
    const { query } = await openLinks().sign(target, makerOf.nobody, 60);
    expect(query).not.toContain('by=');
    expect(openLinks().find({ ...target, query })).toMatchObject({ name: undefined, endsAt: expect.any(Number) });
    expect(reasonOf(openLinks(undefined, ['read'], true).find({ ...target, query }))).toBe('TOKEN_UNKNOWN');
    entries = [];
    expect(reasonOf(openLinks().find({ ...target, query }))).toBe('TOKEN_UNKNOWN');
  });

  it('of a certificate ends with the client CA, or its scope', async () => {
    entries = undefined;
    now = BEGIN;
    const { query } = await openLinks(undefined, ['read'], true).sign(target, makerOf.certificate('A client, 1'), 60);
    const state = (scopes: Scope[], hasClientCa: boolean) =>
      reasonOf(openLinks(undefined, scopes, hasClientCa).find({ ...target, query }));
    expect(state(['read'], true)).toBe('A client, 1');
    expect(state(['write'], true)).toBe('TOKEN_UNKNOWN');
    expect(state(['read'], false)).toBe('TOKEN_UNKNOWN');
    const local = await openLinks(undefined, ['read'], true).sign(target, makerOf.certificate(), 60);
    expect(openLinks(undefined, [], true).find({ ...target, query: local.query })).toMatchObject({ name: undefined });
    expect(reasonOf(openLinks().find({ ...target, query: local.query }))).toBe('TOKEN_UNKNOWN');
    entries = [entryOf('worker')];
    expect(reasonOf(openLinks(undefined, ['read'], true).find({ ...target, query: local.query }))).toBe(
      'TOKEN_UNKNOWN',
    );
  });
});

describe('a session', () => {
  let entries: TokenEntry[] = [];
  let now = BEGIN;
  let storeId = 'store-1';
  const openSessions = (keys = keysOf(first)) =>
    createSessions({
      keys,
      tokenNamed: (name) => entries.find((entry) => entry.name === name),
      storeId: () => storeId,
      now: () => now,
    });
  const sessions = openSessions();
  const textOf = ({ name, value }: { name: string; value: string }) => `${name}=${value}`;
  const stateOf = (cookies: string, from = sessions) => {
    const found = from.find(cookies);
    return found !== undefined && 'reason' in found ? found.reason : found?.entry.name;
  };
  const beginAnew = async (expires?: Date) => {
    entries = [entryOf('worker', ['read', 'admin'], { expires })];
    [now, storeId] = [BEGIN, 'store-1'];
    return sessions.begin(entries[0]!);
  };

  it('names its store and its token, and says nothing of the token itself', async () => {
    const cookie = await beginAnew();
    expect(cookie).toMatchObject({ name: 'image_storage_store-1', maxAgeSeconds: 12 * 3600 });
    expect(cookie.value).toContain('.worker.');
    expect(cookie.value).not.toContain(entries[0]!.sha256.toString('hex'));
    expect(stateOf(`theme=dark; ${textOf(cookie)}; a=b`)).toBe('worker');
    expect(stateOf('theme=dark')).toBeUndefined();
    expect(stateOf('image_storage_store-2=x')).toBeUndefined();
    // A browser sends both where a path had another one.
    expect(stateOf(`image_storage_store-1=x; ${textOf(cookie)}`)).toBe('worker');
  });

  it('is good for nothing that was changed in it', async () => {
    const cookie = textOf(await beginAnew());
    entries.push(entryOf('admin', ['admin']));
    const changed = [
      cookie.replace('.worker.', '.admin.'),
      cookie.slice(0, -1),
      cookie.replace(/\.\d+\./, '.1.'),
      `${cookie}x`,
    ];
    for (const text of [...changed, 'image_storage_store-1=', 'image_storage_store-1=a.1.2.worker.b'])
      expect([text, stateOf(text)]).toEqual([text, 'TOKEN_UNKNOWN']);
    storeId = 'store-2';
    expect(stateOf(cookie.replace('store-1', 'store-2'))).toBe('TOKEN_UNKNOWN');
  });

  it('ends 12 hours after its last use, and after 30 days at last', async () => {
    let cookie = await beginAnew();
    now = BEGIN + HOUR_MS - 1000;
    expect(sessions.prolong(textOf(cookie))).toBeUndefined();
    now = BEGIN + 12 * HOUR_MS;
    expect(stateOf(textOf(cookie))).toBe('TOKEN_EXPIRED');
    expect(sessions.prolong(textOf(cookie))).toBeUndefined();
    for (now = BEGIN; now < BEGIN + 30 * DAY_MS; now += 8 * HOUR_MS) {
      expect(stateOf(textOf(cookie))).toBe('worker');
      cookie = sessions.prolong(textOf(cookie)) ?? cookie;
    }
    expect(stateOf(textOf(cookie))).toBe('TOKEN_EXPIRED');
  });

  it('ends with its token, and is prolonged by the newest key', async () => {
    const cookie = await beginAnew(new Date(BEGIN + 3 * HOUR_MS));
    expect(cookie.maxAgeSeconds).toBe(3 * 3600);
    now = BEGIN + 2 * HOUR_MS;
    expect(stateOf(textOf(cookie))).toBe('worker');
    expect(sessions.prolong(textOf(cookie))).toBeUndefined();
    const newer = openSessions(keysOf(second, first));
    expect(stateOf(textOf(cookie), newer)).toBe('worker');
    expect(stateOf(textOf(cookie), openSessions(keysOf(second)))).toBe('TOKEN_UNKNOWN');
    entries = [entryOf('worker', ['read', 'admin'])];
    const longer = newer.prolong(textOf(cookie))!;
    expect(stateOf(textOf(longer), openSessions(keysOf(second)))).toBe('worker');
    for (const others of [[], [entryOf('worker', ['read'], { token: 'another' })]]) {
      entries = others;
      expect(stateOf(textOf(longer), newer)).toBe('TOKEN_UNKNOWN');
    }
  });
});
