/** Every rpc and route, with every kind of token, cookie and link: who is let in, and what the others are told. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DescMethod } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ServerReflectionAlpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { Health } from '../../gen/health/v1/health_pb.ts';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { Maintenance } from '../../gen/imagestorage/v1/maintenance_pb.ts';
import { createLinks } from '../../src/auth/links.ts';
import { SCOPES, type Scope } from '../../src/auth/scope.ts';
import { createSessions } from '../../src/auth/sessions.ts';
import { newUrlKey } from '../../src/auth/signed-url.ts';
import { newToken, parseTokens, type TokenEntry, tokenLine } from '../../src/auth/tokens.ts';
import { openUrlKeys } from '../../src/auth/url-keys.ts';
import { connect } from '../../src/client.ts';
import { imageApi } from '../../src/http/image-api.ts';
import { imageRoute } from '../../src/http/images.ts';
import { metricsRoute } from '../../src/http/metrics.ts';
import { sessionRoutes } from '../../src/http/session.ts';
import { signRoute } from '../../src/http/sign.ts';
import { zipRoute } from '../../src/http/zip.ts';
import { type Need, needOf } from '../../src/rpc/scopes.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { createCa, createCertificate } from './certificates.ts';
import { closeLinks, type LinkName, type Links, openLinks, outcomeOfPage, outcomeOfRpc, requestOver } from './links.ts';

/** The contract's promise, written out once more. */
const NEEDS: Record<string, Need> = {
  'ImageStorage/Save': 'write',
  'ImageStorage/Get': 'read',
  'ImageStorage/List': 'read',
  'ImageStorage/Update': 'write',
  'ImageStorage/Delete': 'delete',
  'ImageStorage/Cleanup': 'delete',
  'ImageStorage/Restore': 'delete',
  'ImageStorage/ListTrash': 'delete',
  'ImageStorage/Purge': 'delete',
  'ImageStorage/Stats': 'read',
  'Maintenance/Verify': 'admin',
  'Maintenance/Copy': 'admin',
  'Health/Check': 'none',
  'Health/List': 'none',
  'Health/Watch': 'none',
  'ServerReflection/ServerReflectionInfo': 'read',
};

/** A route by its method, its name and its scope; `token`: any token, and nothing else. */
const ROUTES: [method: string, name: string, Need | 'token'][] = [
  ['GET', 'image', 'read'],
  ['HEAD', 'image', 'read'],
  ['GET', '/images', 'read'],
  ['HEAD', '/images', 'read'],
  ['POST', '/images', 'write'],
  ['GET', '/images/NAME', 'read'],
  ['HEAD', '/images/NAME', 'read'],
  ['DELETE', '/images/NAME', 'delete'],
  ['POST', '/sign', 'read'],
  ['POST', '/zip', 'read'],
  ['GET', '/session', 'none'],
  ['HEAD', '/session', 'none'],
  ['POST', '/session', 'token'],
  ['DELETE', '/session', 'none'],
  ['GET', '/metrics', 'read'],
  ['HEAD', '/metrics', 'read'],
];

const SERVICES = [ImageStorage, Maintenance, Health, ServerReflection, ServerReflectionAlpha];
const METHODS: [string, DescMethod][] = SERVICES.flatMap(({ typeName, methods }) =>
  methods.map((method): [string, DescMethod] => [`/${typeName}/${method.name}`, method]),
);
const LINKS: LinkName[] = ['plaintext', 'TLS', 'mTLS', 'socket'];
const CLIENT_SCOPES: readonly Scope[] = ['read', 'delete'];

const folder = mkdtempSync(join(tmpdir(), 'image-storage-'));
const tokens = {
  none: undefined,
  unknown: newToken(),
  expired: newToken(),
  read: newToken(),
  write: newToken(),
  delete: newToken(),
  admin: newToken(),
};
type Holder = keyof typeof tokens;
const HOLDERS = Object.keys(tokens) as Holder[];
/** Of whom there are sessions: those of the expired token ended with it, `forged` never began. */
const GUESTS = ['expired', 'read', 'write', 'delete', 'admin', 'forged'] as const;
type Guest = (typeof GUESTS)[number];
const urlKey = newUrlKey();

let daemon: RunningDaemon;
let links: Links;
let imagePath: string;
let cookies: Record<Guest, string>;
/** Queries that open the image: one that holds, one that is over, and one of another image. */
let signed: Record<'read' | 'expired' | 'other', string>;

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

requires('openssl', hasOpenssl)('the lock', () => {
  beforeAll(async () => {
    const ca = createCa(folder, 'ca');
    const server = createCertificate(folder, 'server', ca);
    const client = createCertificate(folder, 'client', ca);
    const tokensFile = join(folder, 'tokens');
    const lines = SCOPES.map((scope) => tokenLine(scope, tokens[scope], [scope]));
    writeFileSync(tokensFile, [...lines, tokenLine('old', tokens.expired, SCOPES, new Date(0))].join('\n'));
    daemon = await runDaemon({
      IMAGE_STORAGE_AUTH_TOKENS_FILE: tokensFile,
      IMAGE_STORAGE_AUTH_URL_KEYS: urlKey,
      IMAGE_STORAGE_TLS_CERT: server.cert,
      IMAGE_STORAGE_TLS_KEY: server.key,
      IMAGE_STORAGE_TLS_CLIENT_CA: ca.cert,
      IMAGE_STORAGE_TLS_CLIENT_SCOPES: CLIENT_SCOPES.join(),
    });
    links = openLinks(daemon, ca.cert, client);
    const images = connect(`https://${daemon.address}`, { token: tokens.write, caFile: ca.cert });
    const { url } = await images.save(pngOf({ width: 64, height: 64 }));
    imagePath = url;
    images.close();
    const entries = parseTokens(readFileSync(tokensFile, 'utf8'));
    cookies = await sessionsOf(entries, await cookieName());
    signed = await linksOf(entries);
  });
  afterAll(async () => {
    closeLinks(links);
    await daemon.close();
    rmSync(folder, { recursive: true });
  });

  it('knows every rpc', () => {
    const known = METHODS.map(([path, method]) => [shortOf(path), needOf(method)]);
    expect(Object.fromEntries(known)).toEqual(NEEDS);
  });

  it.each(METHODS)('asks callers of %s', async (path) => {
    const need = NEEDS[shortOf(path)]!;
    const cells = LINKS.flatMap((link) => HOLDERS.map((holder) => ({ link, holder })));
    const actual = await Promise.all(
      cells.map(async ({ link, holder }) => row(link, holder, await outcomeOfRpc(links[link], path, tokens[holder]))),
    );
    expect(actual).toEqual(cells.map(({ link, holder }) => row(link, holder, expected(need, holder, link))));
  });

  it.each(ROUTES)('asks whoever sends %s %s', async (method, path, need) => {
    for (const link of LINKS) {
      for (const holder of HOLDERS) {
        const target = path === 'image' ? imagePath : path.replace('NAME', 'a.png');
        const sent = { token: tokens[holder] };
        const { status, headers, body } = await requestOver(links[link], `${method} ${target}`, sent);
        const wanted = expected(need, holder, link);
        const isRefused = status === 401 || status === 403;
        expect(row(link, holder, isRefused ? status : 'let in')).toBe(row(link, holder, statusOf(wanted)));
        if (!isRefused || method === 'HEAD') continue;
        const { code, reason, metadata } = JSON.parse(body.toString());
        expect([reason, metadata?.needs, metadata?.token].filter(Boolean).join(' ')).toBe(wanted);
        expect(code).toBe(status === 401 ? 'unauthenticated' : 'permission_denied');
        expect(headers['www-authenticate']).toBe(status === 401 ? 'Bearer' : undefined);
        expect(headers['cache-control']).toBe('no-store');
      }
    }
  });

  it.each(METHODS)('asks a page with a cookie that calls %s', async (path) => {
    const need = NEEDS[shortOf(path)]!;
    const cells = LINKS.flatMap((link) => GUESTS.map((guest) => ({ link, guest })));
    const actual = await Promise.all(
      cells.map(async ({ link, guest }) => {
        const outcome = await outcomeOfPage(links[link], path, cookies[guest]);
        return `${link}, ${guest}: ${outcome}`;
      }),
    );
    expect(actual).toEqual(cells.map(({ link, guest }) => `${link}, ${guest}: ${expectedOfGuest(need, guest, link)}`));
  });

  it.each(ROUTES)('asks a page with a cookie that sends %s %s', async (method, path, need) => {
    for (const link of LINKS) {
      for (const guest of GUESTS) {
        const target = path === 'image' ? imagePath : path.replace('NAME', 'a.png');
        const { status } = await requestOver(links[link], `${method} ${target}`, { cookie: cookies[guest] });
        const wanted = need === 'token' ? 'TOKEN_MISSING' : expectedOfGuest(need, guest, link);
        const isRefused = status === 401 || status === 403;
        expect(`${link}, ${guest}: ${isRefused ? status : 'let in'}`).toBe(`${link}, ${guest}: ${statusOf(wanted)}`);
      }
    }
  });

  it.each(ROUTES)('lets a link see its image, and nothing by %s %s', async (method, path, need) => {
    const opens = path === 'image';
    for (const link of LINKS) {
      for (const [kind, query] of Object.entries(signed)) {
        const target = opens ? imagePath : path.replace('NAME', 'a.png');
        const { status } = await requestOver(links[link], `${method} ${target}?${query}`);
        const wanted =
          (opens && kind === 'read') || need === 'none' ? 'let in' : expectedOfLink(need, kind, opens, link);
        const isRefused = status === 401 || status === 403;
        expect(`${link}, ${kind}: ${isRefused ? status : 'let in'}`).toBe(`${link}, ${kind}: ${statusOf(wanted)}`);
      }
    }
  });

  it('begins sessions that go back over TLS only, where they came over it', async () => {
    for (const link of LINKS) {
      const { headers } = await requestOver(links[link], 'POST /session', { token: tokens.read });
      expect([link, /; Secure$/.test(`${headers['set-cookie']}`)]).toEqual([link, link === 'TLS' || link === 'mTLS']);
    }
  });

  it.each(['/healthz', '/readyz'])('lets anybody see %s', async (path) => {
    for (const link of LINKS) expect((await requestOver(links[link], `GET ${path}`)).status).toBe(200);
  });
});

describe('the tables', () => {
  it('have a row for each rpc and route there is', () => {
    expect(METHODS.map(([path]) => shortOf(path)).filter((path) => !(path in NEEDS))).toEqual([]);
    const options = { storage: {}, memory: {} } as never;
    const page = [...sessionRoutes(options), signRoute(options), zipRoute(options)];
    const routes = [imageRoute(options), ...imageApi(options), ...page, metricsRoute(options)];
    const served = routes.flatMap(({ methods, name, scope }) => methods.map((method) => [method, name, scope]));
    // Who sends no token is told so by the route itself.
    const known = ROUTES.map(([method, name, need]) => [method, name, need === 'token' ? 'none' : need]);
    expect(served.sort()).toEqual(known.sort());
  });

  it('are those of docs/access.md', () => {
    const page = readFileSync(new URL('../../docs/access.md', import.meta.url), 'utf8');
    for (const scope of [...SCOPES, 'none'] as const) {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${scope}\``) || line.startsWith(`| ${scope} `))!;
      const rpcs = Object.keys(NEEDS).filter((path) => NEEDS[path] === scope);
      const names = rpcs.filter((path) => !path.startsWith('ServerReflection')).map((path) => path.split('/')[1]);
      for (const name of names) expect(row).toContain(`\`${name}\``);
      const ofScope = (need: string) => (need === 'token' ? 'none' : need) === scope;
      for (const [method, name] of ROUTES.filter((route) => ofScope(route[2]) && route[0] !== 'HEAD')) {
        expect(row).toContain(name === 'image' ? 'an image' : `${method} ${name}`);
      }
    }
  });
});

function shortOf(path: string): string {
  return path.slice(path.slice(0, path.lastIndexOf('/')).lastIndexOf('.') + 1);
}

function row(link: LinkName, holder: Holder, outcome: unknown): string {
  return `${link}, ${holder}: ${outcome}`;
}

function expected(need: Need | 'token', holder: Holder, link: LinkName): string {
  if (need === 'none') return 'let in';
  if (holder === 'none' && (need === 'token' || link !== 'mTLS')) return 'TOKEN_MISSING';
  if (holder === 'none') return CLIENT_SCOPES.includes(need as Scope) ? 'let in' : `SCOPE_MISSING ${need} client`;
  if (holder === 'unknown') return 'TOKEN_UNKNOWN';
  if (holder === 'expired') return 'TOKEN_EXPIRED old';
  return need === 'token' || holder === need ? 'let in' : `SCOPE_MISSING ${need} ${holder}`;
}

/** A session that is over is as none: what comes with a certificate has that. */
function expectedOfGuest(need: Need, guest: Guest, link: LinkName): string {
  if (need === 'none') return 'let in';
  const isOver = guest === 'expired' || guest === 'forged';
  if (isOver && link === 'mTLS') return expected(need, 'none', link);
  if (guest === 'expired') return 'TOKEN_EXPIRED old';
  if (guest === 'forged') return 'TOKEN_UNKNOWN';
  return guest === need && need !== 'admin' ? 'let in' : `SCOPE_MISSING ${need} ${guest}`;
}

/** What is no link for this image is as none. */
function expectedOfLink(need: Need | 'token', kind: string, opens: boolean, link: LinkName): string {
  if (need === 'token' || link !== 'mTLS') return kind === 'expired' && opens ? 'TOKEN_EXPIRED' : 'TOKEN_UNKNOWN';
  return expected(need, 'none', link);
}

/** Made by the daemon's own key, as it would have made them. */
async function sessionsOf(entries: readonly TokenEntry[], name: string): Promise<Record<Guest, string>> {
  const sealed = async (entry: TokenEntry) => {
    const options = { tokenNamed: () => entry, storeId: () => name.replace('image_storage_', '') };
    const { value } = await createSessions({ ...options, keys: openUrlKeys(urlKey, '') }).begin(entry);
    return `${name}=${value}`;
  };
  const named = (wanted: string) => sealed(entries.find((entry) => entry.name === wanted)!);
  const [read, write, remove, admin] = await Promise.all(SCOPES.map(named));
  const forged = read!.replace('.read.', '.write.');
  return { expired: await named('old'), read: read!, write: write!, delete: remove!, admin: admin!, forged };
}

async function linksOf(tokens: TokenEntry[]): Promise<typeof signed> {
  const options = { keys: openUrlKeys(urlKey, ''), tokens: () => tokens, hasClientCa: false, clientScopes: [] };
  const sign = async (path: string, now = Date.now()) =>
    (await createLinks({ ...options, now: () => now }).sign({ path, query: '' }, 'read', 60)).query;
  const expired = await sign(imagePath, Date.now() - 24 * 3600 * 1000);
  return { read: await sign(imagePath), expired, other: await sign(`${imagePath}x`) };
}

async function cookieName(): Promise<string> {
  const headers = { authorization: `Bearer ${tokens.read}` };
  const answer = await fetch(`http://${daemon.address}/session`, { method: 'POST', headers });
  return answer.headers.get('set-cookie')!.split('=')[0]!;
}

function statusOf(outcome: string): number | 'let in' {
  if (outcome === 'let in') return outcome;
  return outcome.startsWith('SCOPE_MISSING') ? 403 : 401;
}
