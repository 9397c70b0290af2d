/** What goes in and out of the gallery: files that are dropped on it, and an original that is dragged elsewhere. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { connect } from '../../src/client.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { hasBrowser, openBrowser, openPage, PHONE, WIDE } from './browser.ts';

const TAKEN = Date.UTC(2026, 2, 4, 5, 6, 7);

interface Dropped {
  name: string;
  type: string;
  bytes: Buffer;
}

const png = (seed: number, prompt = `number ${seed}`): Dropped => ({
  name: `${seed}.png`,
  type: 'image/png',
  bytes: pngOf({ width: 48, height: 32, seed, text: { parameters: `${prompt}\nSteps: 20, Seed: ${seed}` } }),
});

/** As a browser does when files are let go over the page. */
async function drop(page: Page, files: readonly Dropped[]): Promise<void> {
  const given = files.map(({ bytes, ...file }) => ({ ...file, base64: bytes.toString('base64') }));
  await page.evaluate(
    ({ given, lastModified }) => {
      const dataTransfer = new DataTransfer();
      for (const { name, type, base64 } of given) {
        const bytes = Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0));
        dataTransfer.items.add(new File([bytes], name, { type, lastModified }));
      }
      for (const type of ['dragenter', 'dragover', 'drop']) {
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
      }
    },
    { given, lastModified: TAKEN },
  );
}

requires('Chromium', hasBrowser)('files that are dropped on the gallery', () => {
  let daemon: RunningDaemon;
  let browser: Browser;
  let origin: string;

  beforeAll(async () => {
    daemon = await runDaemon();
    origin = `http://${daemon.address}`;
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await daemon.close();
  });

  const open = async (options = WIDE) => {
    const watched = await openPage(browser, origin, options);
    await watched.page.goto(origin);
    return watched;
  };
  const listed = async (query: string) => {
    const images = connect(daemon.address);
    const found = [];
    for await (const image of images.list({ query })) found.push(image);
    images.close();
    return found;
  };

  it('are saved with their dates and what generators left in them, three at once, and the rest where one is refused', async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    await page.getByText('No images yet').waitFor();
    let underWay = 0;
    let most = 0;
    page.on('request', (request) => {
      if (request.url() === `${origin}/images`) most = Math.max(most, ++underWay);
    });
    page.on('response', (response) => {
      if (response.url() === `${origin}/images`) underWay -= 1;
    });
    const notes = { name: 'notes.txt', type: 'text/plain', bytes: Buffer.alloc(3_000_000, 'no image ') };
    await drop(page, [...[1, 2, 3, 4].map((seed) => png(seed)), notes, ...[5, 6, 7].map((seed) => png(seed))]);
    await page.getByText('Saved 7 images, 1 not').first().waitFor();
    const [failed, ...others] = await page.locator('.upload li').allTextContents();
    expect(failed).toMatch(/^notes\.txt .*(image|type)/);
    expect(others).toEqual([]);
    await page.locator('[data-index="6"] img.is-loaded').waitFor();
    expect(await page.locator('.count').textContent()).toBe('7');
    expect(most).toBe(3);
    const [image] = await listed('seed:5');
    expect(image!.metadata).toMatchObject({ prompt: 'number 5', timestamp: new Date(TAKEN) });
    await page.getByRole('region', { name: 'Upload images' }).getByRole('button', { name: 'Close' }).click();
    expect(await page.locator('.upload').count()).toBe(0);
    expect(complaints.filter((text) => !text.includes('status of 400'))).toEqual([]);
  });

  it('are sent again under their key where the connection breaks, and one is shown when asked', async () => {
    await using watched = await open();
    const { page } = watched;
    await page.locator('.count').filter({ hasText: /\d/ }).waitFor();
    const keys: (string | undefined)[] = [];
    await page.route(`${origin}/images`, async (route) => {
      keys.push(route.request().headers()['idempotency-key']);
      if (keys.length > 1) return route.continue();
      // It arrives, and its answer is lost.
      await route.fetch();
      return route.abort();
    });
    await drop(page, [png(21, 'an owl')]);
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByRole('dialog', { name: 'an owl' }).waitFor();
    expect(keys).toEqual([keys[0], keys[0]]);
    expect(keys[0]).toMatch(/^page:[0-9a-f]{32}$/);
    expect((await listed('owl')).length).toBe(1);
  });

  it('can be chosen from the menu of a phone', async () => {
    await using watched = await open(PHONE);
    const { page, complaints } = watched;
    await page.getByRole('button', { name: 'Menu' }).tap();
    const choosing = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Upload images' }).tap();
    const { name, type: mimeType, bytes: buffer } = png(31, 'a stork');
    await (await choosing).setFiles([{ name, mimeType, buffer }]);
    await page.getByText('Saved 1 image').first().waitFor();
    expect((await listed('stork')).length).toBe(1);
    expect(complaints).toEqual([]);
  });
});

/** What the page of ComfyUI does with a drop, and nothing else: https://github.com/Comfy-Org/ComfyUI_frontend */
const COMFY_PAGE = `<!doctype html><link rel="icon" href="data:,"><body style="height: 100vh"><script>
  document.ondragover = (event) => event.preventDefault();
  document.ondrop = async (event) => {
    event.preventDefault();
    const { files, types } = event.dataTransfer;
    const type = [...types].find((each) => each === 'text/uri-list' || each === 'text/x-moz-url');
    const uri = files.length > 0 || type === undefined ? undefined : event.dataTransfer.getData(type).split('\\n')[0];
    if (uri === undefined) return (document.title = 'refused');
    const response = await fetch(uri).catch((error) => ({ ok: false, status: error.message }));
    if (!response.ok) return (document.title = 'failed: ' + response.status);
    const blob = await response.blob();
    const bytes = new Uint8Array(await blob.arrayBuffer());
    window.received = [...bytes];
    const view = new DataView(bytes.buffer);
    for (let at = 8; blob.type === 'image/png' && at < bytes.length; at += 12 + view.getUint32(at)) {
      const [keyword, text] = new TextDecoder().decode(bytes.subarray(at + 8, at + 8 + view.getUint32(at))).split('\\0');
      if (keyword === 'workflow') document.title = 'loaded: ' + JSON.parse(text).nodes.length + ' nodes of ' + uri;
    }
  };
</script>`;

requires('Chromium', hasBrowser)('an original that is dragged from the gallery into ComfyUI', () => {
  const workflow = JSON.stringify({
    nodes: [
      { id: 1, type: 'KSampler' },
      { id: 2, type: 'SaveImage' },
    ],
    links: [],
  });
  const bytes = pngOf({ width: 48, height: 32, seed: 9, text: { workflow } });
  const TOKEN = newToken();
  const comfy = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end(COMFY_PAGE);
  });
  let browser: Browser;
  let elsewhere: string;

  beforeAll(async () => {
    comfy.listen(0, '127.0.0.1');
    await once(comfy, 'listening');
    elsewhere = `http://127.0.0.1:${(comfy.address() as AddressInfo).port}`;
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    comfy.close();
  });

  describe.each([
    { lock: 'is locked', tokens: { IMAGE_STORAGE_AUTH_TOKENS: tokenLine('me', TOKEN, ['read', 'write']) } },
    { lock: 'is not locked', tokens: {} },
  ])('where the gallery $lock', ({ tokens }) => {
    it('brings its workflow, by a link that needs no cookie', async () => {
      await using daemon = await runDaemon({ IMAGE_STORAGE_HTTP_CORS_ORIGINS: elsewhere, ...tokens });
      const origin = `http://${daemon.address}`;
      const images = connect(daemon.address, { token: TOKEN });
      const { url } = await images.save(bytes);
      images.close();
      await using watched = await openPage(browser, origin);
      const { page, complaints } = watched;
      await page.goto(`${origin}/#t=${TOKEN}`);
      const cell = page.locator('[data-index="0"]');
      await cell.locator('img.is-loaded').waitFor();
      // Once it was seen whole, a cache of the browser has it as the gallery may read it.
      await page.evaluate((own) => fetch(own).then((answer) => answer.blob()), `${url}?provider=local`);
      const target = await page.context().newPage();
      const asked = target.waitForRequest((request) => request.url().startsWith(origin));
      await target.goto(elsewhere);
      await dragBetween(page, target);
      await target.waitForFunction(() => document.title !== '');
      expect(await target.title()).toMatch(
        new RegExp(`^loaded: 2 nodes of ${origin}/outputs/images/.+\\.png\\?.*signature=`),
      );
      expect(await (await asked).headerValue('cookie')).toBe(null);
      expect(Buffer.from(await target.evaluate<number[]>('received')).equals(bytes)).toBe(true);
      expect(complaints).toEqual([]);
    });
  });
});

/** Moves the pointer as a hand does, and lets the other page have what the browser then drags. */
async function dragBetween(from: Page, to: Page): Promise<void> {
  const [source, target] = await Promise.all([from, to].map((page) => page.context().newCDPSession(page)));
  const { x, y, width, height } = (await from.locator('[data-index="0"]').boundingBox())!;
  const at = { x: x + width / 2, y: y + height / 2 };
  await source!.send('Input.setInterceptDrags', { enabled: true });
  const dragged = new Promise((resolve) => source!.once('Input.dragIntercepted', ({ data }) => resolve(data)));
  const signed = from.waitForResponse((response) => response.url().endsWith('/sign'));
  const move = (type: 'mouseMoved' | 'mousePressed', by: number) =>
    source!.send('Input.dispatchMouseEvent', {
      type,
      x: at.x + by,
      y: at.y,
      button: 'left',
      buttons: type === 'mouseMoved' && by === 0 ? 0 : 1,
      clickCount: 1,
    });
  await move('mouseMoved', 0);
  await signed;
  await move('mousePressed', 0);
  await move('mouseMoved', 20);
  await move('mouseMoved', 40);
  const data = (await dragged) as { items: []; dragOperationsMask: number };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await target!.send('Input.dispatchDragEvent', { type, x: 100, y: 100, data });
  }
}
