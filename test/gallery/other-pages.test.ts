/**
 * What a real browser lets pages do: one of another port, a form, a rebound name and the own page, on localhost and at the
 * address of this machine, where browsers send less along; with tokens and a session, and without.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { connect, type ImageStorageClient } from '../../src/client.ts';
import { loadConfig } from '../../src/config.ts';
import { type Daemon, startDaemon } from '../../src/daemon.ts';
import { createLogger } from '../../src/logging.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { full } from '../support/scale.ts';
import { hasBrowser, openBrowser } from './browser.ts';

const REBOUND = 'rebound.example';
const FLAGS = [
  `--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`,
  // Only Chromium keeps pages of other machines from this one by itself, and asks its user.
  '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests',
];
const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
/** Where other machines find this one. */
const outside = addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
const PLACES = ['127.0.0.1', ...(outside === undefined ? [] : [outside])];
const token = newToken();
const png = pngOf({ width: 16, height: 16 });

interface House {
  daemon: Daemon;
  images: ImageStorageClient;
  folder: string;
  originAt(place: string): string;
}

async function open(env: Record<string, string>, given?: string): Promise<House> {
  const folder = mkdtempSync(join(tmpdir(), 'image-storage-'));
  const listen = PLACES.map((place) => `${place}:0`);
  const flags = { listen, basePath: join(folder, 'outputs'), logLevel: 'silent' };
  const config = loadConfig({ flags, env });
  const daemon = await startDaemon(config, createLogger(config.log));
  const originAt = (place: string) => `http://${daemon.addresses.find((address) => address.startsWith(`${place}:`))}`;
  const images = connect(originAt('127.0.0.1').slice('http://'.length), { token: given, allowPlaintextToken: true });
  return { daemon, images, folder, originAt };
}

/** Without what comes by itself once an image is there. */
async function listed(images: ImageStorageClient): Promise<unknown[]> {
  const all = [];
  for await (const { thumbHash: _, ...image } of images.list()) all.push(image);
  return all;
}

async function close({ daemon, images, folder }: House): Promise<void> {
  images.close();
  await daemon.close();
  rmSync(folder, { recursive: true });
}

/** Serves one empty page at each place. */
async function openElsewhere(): Promise<{ server: Server; port: number }> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>elsewhere</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

interface Target {
  origin: string;
  url: string;
  filename: string;
  /** An image that is sound: one that the daemon would take. */
  bytes: number[];
}

/** Run in a page: all that a page of another origin can send. Returns what of it could be read or shown. */
async function attack({ origin, url, filename, bytes }: Target): Promise<string[]> {
  const [json, types] = [JSON.stringify({ filenames: [filename] }), ['text/plain', 'application/json']];
  const file = new File([Uint8Array.from(bytes)], 'a.png', { type: 'image/png' });
  const form = new FormData();
  form.append('prompt', 'of another site');
  form.append('file', file);
  const rpc = `${origin}/imagestorage.v1.ImageStorage/Delete`;
  const sent: [what: string, url: string, init: RequestInit][] = [
    ['list', `${origin}/images`, {}],
    ['session', `${origin}/session`, {}],
    ['bytes', origin + url, {}],
    ['delete', `${origin}/images/${filename}`, { method: 'DELETE' }],
    ['save', `${origin}/images`, { method: 'POST', body: form }],
    ['save blindly', `${origin}/images`, { method: 'POST', body: form, mode: 'no-cors' }],
    ['sign', `${origin}/sign`, { method: 'POST', body: JSON.stringify({ filename }) }],
    ...types.map((type): [string, string, RequestInit] => [
      `call as ${type}`,
      rpc,
      { method: 'POST', body: json, headers: { 'content-type': type } },
    ]),
    ['call blindly', rpc, { method: 'POST', body: json, mode: 'no-cors' }],
  ];
  const read: string[] = [];
  for (const [what, to, init] of sent) {
    const answer = await fetch(to, { ...init, credentials: 'include' }).catch(() => undefined);
    if (answer !== undefined && answer.type !== 'opaque') read.push(`${what}: ${answer.status}`);
  }
  navigator.sendBeacon(rpc, new Blob([json], { type: 'text/plain' }));
  const shown = await new Promise<boolean>((resolve) => {
    const image = new Image();
    image.onload = () => resolve(true);
    image.onerror = () => resolve(false);
    image.src = origin + url;
  });
  if (shown) read.push('the image is shown');
  // A form goes anywhere, and takes the frame with it.
  const frame = document.createElement('iframe');
  frame.name = 'frame';
  const sender = Object.assign(document.createElement('form'), { method: 'POST', target: 'frame' });
  sender.action = `${origin}/images`;
  sender.enctype = 'multipart/form-data';
  const field = Object.assign(document.createElement('input'), { type: 'file', name: 'file' });
  const files = new DataTransfer();
  files.items.add(file);
  field.files = files.files;
  sender.append(field);
  document.body.append(frame, sender);
  const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
  sender.submit();
  await loaded;
  return read;
}

/** Run in the own page: begins a session where there is a token, and does what a page does. */
async function useOwn({ url, filename, secret }: { url: string; filename: string; secret: string | undefined }) {
  const began = await fetch('/session', {
    method: 'POST',
    headers: secret === undefined ? {} : { authorization: `Bearer ${secret}` },
  });
  const image = new Image();
  image.src = url;
  await image.decode();
  const headers = { 'content-type': 'application/json' };
  const rpc = '/imagestorage.v1.ImageStorage/Update';
  const pinned = await fetch(rpc, { method: 'POST', headers, body: JSON.stringify({ filename, pinned: true }) });
  const signed = await fetch('/sign', { method: 'POST', headers, body: JSON.stringify({ filename }) });
  const removed = await fetch(`/images/${filename}`, { method: 'DELETE' });
  return {
    statuses: [began, pinned, signed, removed].map(({ status }) => status),
    width: image.naturalWidth,
    cookies: document.cookie,
  };
}

requires('Chromium', hasBrowser)('a page in a browser', () => {
  let browser: Browser;
  let elsewhere: Awaited<ReturnType<typeof openElsewhere>>;
  const houses = {} as Record<'with tokens' | 'without a lock', House>;
  beforeAll(async () => {
    [browser, elsewhere, houses['with tokens'], houses['without a lock']] = await Promise.all([
      openBrowser(FLAGS),
      openElsewhere(),
      open({ IMAGE_STORAGE_AUTH_TOKENS: tokenLine('page', token, ['read', 'write', 'delete']) }, token),
      open({ IMAGE_STORAGE_INSECURE: 'true' }),
    ]);
  });
  afterAll(async () => {
    await browser.close();
    elsewhere.server.close();
    for (const house of Object.values(houses)) await close(house);
  });

  const inPage = async <T>(work: (page: Page) => Promise<T>): Promise<T> => {
    const context = await browser.newContext();
    try {
      return await work(await context.newPage());
    } finally {
      await context.close();
    }
  };
  const cells = PLACES.flatMap((place) =>
    (['with tokens', 'without a lock'] as const).map((lock) => [place, lock] as const),
  );

  // Each place and each lock once; all of them in the full run.
  const driven = cells.filter((_, at) => full || at === 1 || at === cells.length - 2);
  describe.each(driven)('at %s, %s', (place, lock) => {
    const secret = lock === 'with tokens' ? token : undefined;

    it('changes nothing from another origin, and reads nothing', async () => {
      const { images, originAt } = houses[lock];
      const saved = await images.save(png);
      const before = await listed(images);
      await inPage(async (page) => {
        await page.goto(`${originAt(place)}/healthz`);
        // The cookie of the own page is sent with what another port of the host sends.
        if (secret !== undefined) {
          const begin = { method: 'POST', headers: { authorization: `Bearer ${secret}` } };
          expect(await page.evaluate(async (init) => (await fetch('/session', init)).status, begin)).toBe(200);
          expect(await page.context().cookies()).toHaveLength(1);
        }
        // Without a cookie, another site is as good as another port.
        const from = secret === undefined ? PLACES.at(-1 - PLACES.indexOf(place)) : place;
        await page.goto(`http://${from}:${elsewhere.port}/`);
        expect(await page.evaluate(attack, { origin: originAt(place), bytes: [...png], ...saved })).toEqual([]);
      });
      expect(await listed(images)).toEqual(before);
      expect(before).toContainEqual(expect.objectContaining({ filename: saved.filename }));
    });

    it('lets the own page do what it may', async () => {
      const { images, originAt } = houses[lock];
      const saved = await images.save(png);
      const done = await inPage(async (page) => {
        await page.goto(`${originAt(place)}/healthz`);
        return page.evaluate(useOwn, { ...saved, secret });
      });
      expect(done).toEqual({ statuses: [200, 200, 200, 200], width: 16, cookies: '' });
    });
  });

  it('gets nothing under a name that was rebound to this machine', async () => {
    const { images, originAt } = houses['without a lock'];
    const { filename, url } = await images.save(png);
    const rebound = originAt('127.0.0.1').replace('127.0.0.1', REBOUND);
    await inPage(async (page) => {
      expect((await page.goto(`${rebound}/images`))?.status()).toBe(403);
      // Health is open under any name; from there on the page is of one origin with the daemon.
      await page.goto(`${rebound}/healthz`);
      const statusOf = ([method, path]: string[]) =>
        page.evaluate(async ([how, what]) => (await fetch(what!, { method: how })).status, [method, path] as const);
      const sent = [
        ['GET', '/images'],
        ['GET', url],
        ['DELETE', `/images/${filename}`],
        ['POST', '/session'],
      ];
      for (const each of sent) expect([...each, await statusOf(each)]).toEqual([...each, 403]);
    });
    expect(await listed(images)).toContainEqual(expect.objectContaining({ filename }));
  });
});
