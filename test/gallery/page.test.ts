/** What somebody sees and does in the gallery, in a real browser on a real daemon. */

import { text } from 'node:stream/consumers';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { saveAt, storageAt } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { WITH_PREVIEWS } from '../support/previews.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { hasBrowser, openBrowser, openPage, PHONE, WIDE } from './browser.ts';

const COUNT = 60;
const HOSTILE = '<img src=x onerror="document.title=1"><b>bold</b> & {{braces}}';
const SEED = '18446744073709551615';
const FIRST_DAY = Date.UTC(2026, 0, 1) / 1000;
const DAY_SECONDS = 24 * 60 * 60;

const deleteAt = (address: string, filename: string) => storageAt(address).delete({ filenames: [filename] });

requires('Chromium', hasBrowser)('the gallery', () => {
  let daemon: RunningDaemon;
  let browser: Browser;
  let origin: string;

  beforeAll(async () => {
    daemon = await runDaemon(WITH_PREVIEWS);
    origin = `http://${daemon.address}`;
    for (let number = 0; number < COUNT; number += 1) {
      const metadata = {
        prompt: number === COUNT - 1 ? HOSTILE : `a red fox, number ${number}`,
        model: number % 2 === 0 ? 'flux' : 'sdxl',
        timestamp: { seconds: BigInt(FIRST_DAY + number * DAY_SECONDS), nanos: 0 },
        parametersJson: `{"seed":${SEED},"negative_prompt":"blurry"}`,
      };
      await saveAt(daemon.address, pngOf({ width: 48, height: 32, seed: number }), { metadata });
    }
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await daemon.close();
  });

  const open = (path = '/', options = WIDE) =>
    openPage(browser, origin, options).then(async (watched) => {
      await watched.page.goto(`${origin}${path}`);
      return watched;
    });

  it('shows the newest first, and how many there are', async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    await page.locator('.thumb img.is-loaded').first().waitFor();
    expect(await page.getByRole('grid').getAttribute('aria-rowcount')).toBe('9');
    expect(await page.locator('.count').textContent()).toBe(`${COUNT}`);
    expect(await page.locator('[data-index="1"] img').getAttribute('alt')).toBe(`a red fox, number ${COUNT - 2}`);
    expect(complaints).toEqual([]);
  });

  it('shows prompts letter by letter, whatever they are', async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    await page.locator('[data-index="0"]').click();
    await page.keyboard.press('i');
    expect(await page.locator('.panel .mono').first().textContent()).toBe(HOSTILE);
    expect(await page.title()).toContain(HOSTILE);
    expect(await page.locator('.facts').textContent()).toContain(SEED);
    expect(complaints).toEqual([]);
  });

  it('opens an image, turns to the next by a key, and closes it by Back', async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    await page.locator('[data-index="3"]').click();
    await page.getByRole('dialog').waitFor();
    const opened = page.url();
    expect(opened).toMatch(/image=20260226_000000_flux_/);
    await page.keyboard.press('ArrowRight');
    await page.waitForURL(/image=20260225_000000_sdxl_/);
    await page.goBack();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(new URL(page.url()).search).toBe('');
    await page.goto(opened);
    await page.getByRole('dialog').getByText(`4 of ${COUNT}`).waitFor();
    expect(complaints).toEqual([]);
  });

  it('opens one image by its own page, finds it among all, and gives the focus to its cell', async () => {
    await using watched = await open('/', PHONE);
    const { page, complaints } = watched;
    const href = await page.locator('[data-index="5"]').getAttribute('href');
    const [, name] = /image=([^&]+)/.exec(href!)!;
    await page.goto(`${origin}/i/${name}`);
    await page.getByRole('dialog').getByText(`6 of ${COUNT}`).waitFor();
    await page.keyboard.press('ArrowLeft');
    await page.getByRole('dialog').getByText(`5 of ${COUNT}`).waitFor();
    await page.keyboard.press('Escape');
    await page.locator('[data-index="4"]:focus').waitFor();
    await page.goto(`${origin}/i/none.png`);
    await page.getByText('There is no such image').waitFor();
    expect(complaints.filter((text) => !text.includes('404'))).toEqual([]);
  });

  it('zooms to the actual pixels and back, and turns by a finger', async () => {
    await using watched = await open('/', PHONE);
    const { page, complaints } = watched;
    await page.locator('[data-index="1"]').tap();
    const layers = page.locator('.picture-layers');
    await layers.locator('img.is-loaded').first().waitFor();
    await page.keyboard.press(' ');
    await page.locator('.picture.is-zoomed').waitFor();
    await page.keyboard.press(' ');
    await page.locator('.picture:not(.is-zoomed)').waitFor();
    await page.locator('.picture').evaluate((frame) => {
      // Of no pointer that is there, so none can be captured.
      frame.setPointerCapture = () => undefined;
      const at = (type: string, clientX: number) =>
        frame.dispatchEvent(new PointerEvent(type, { pointerType: 'touch', pointerId: 7, clientX, clientY: 400 }));
      at('pointerdown', 300);
      at('pointermove', 200);
      at('pointerup', 100);
    });
    await page.getByRole('dialog').getByText(`3 of ${COUNT}`).waitFor();
    expect(complaints).toEqual([]);
  });

  it('goes to a month', async () => {
    await using watched = await open('/?density=large');
    const { page, complaints } = watched;
    const scrubber = page.getByRole('slider', { name: 'Go to a month' });
    expect(await scrubber.getAttribute('aria-valuetext')).toBe('Mar 2026');
    await scrubber.focus();
    await page.keyboard.press('ArrowDown');
    await page.locator('[data-index="1"]').waitFor({ state: 'detached' });
    const { width, height } = (await scrubber.boundingBox())!;
    await scrubber.click({ position: { x: width / 2, y: height - 2 } });
    await page.locator(`[data-index="${COUNT - 1}"] img.is-loaded`).waitFor();
    expect(complaints).toEqual([]);
  });

  it('finds what is typed, and is restored by its address', async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    await page.keyboard.press('/');
    await page.keyboard.type('number model:sdxl before:2026-01-05');
    await page.getByText(`2 of ${COUNT}`).waitFor();
    await page.goto(page.url());
    await page.getByText(`2 of ${COUNT}`).waitFor();
    expect(await page.getByRole('combobox').inputValue()).toBe('number model:sdxl before:2026-01-05');
    await page.getByRole('combobox').fill('zebra');
    await page.getByRole('button', { name: 'Show all' }).click();
    await page.locator('[data-index="0"]').waitFor();
    expect(complaints).toEqual([]);
  });

  it('completes names to filters, which are taken away again', async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    await page.keyboard.press('/');
    await page.keyboard.type('number model:s');
    await page.locator('#completion-0', { hasText: 'sdxl' }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.getByText(`29 of ${COUNT}`).waitFor();
    expect(await page.getByRole('combobox').inputValue()).toBe('number');
    await page.getByRole('button', { name: 'Remove the filter model sdxl' }).click();
    await page.getByText(`59 of ${COUNT}`).waitFor();
    await page.getByRole('combobox').fill('');
    await page.getByRole('option', { name: 'Pinned' }).click();
    await page.getByText('None of').waitFor();
    await page.goBack();
    await page.locator('[data-index="0"]').waitFor();
    expect(complaints).toEqual([]);
  });

  it('saves the workflow as it was written, and shows all of an image as JSON', async () => {
    const workflow = `{"nodes":[{"seed":${SEED}}]}`;
    const metadata = { model: 'comfy', tags: ['keeper'], parametersJson: `{"workflow":${workflow}}` };
    const { filename } = await saveAt(daemon.address, pngOf({ width: 8, height: 8, seed: 99 }), { metadata });
    onTestFinished(async () => void (await deleteAt(daemon.address, filename)));
    await using watched = await open(`/i/${filename}`);
    const { page, complaints } = watched;
    await page.keyboard.press('i');
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download', exact: true }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).toBe(`${filename}.workflow.json`);
    expect(await text(await download.createReadStream())).toBe(workflow);
    await page.getByText('Raw JSON').click();
    expect(JSON.parse((await page.locator('.panel-json pre').textContent())!)).toMatchObject({ filename });
    await page.getByRole('button', { name: 'keeper' }).click();
    await page.getByText(`1 of ${COUNT + 1}`).waitFor();
    expect(complaints).toEqual([]);
  });

  it('tells what there is where nothing matches', async () => {
    await using watched = await open('/?q=fox model:fluks');
    const { page, complaints } = watched;
    await page.getByText('None of').waitFor();
    await page.getByRole('button', { name: 'flux' }).click();
    await page.getByText(`30 of ${COUNT}`).waitFor();
    expect(await page.getByRole('combobox').inputValue()).toBe('fox');
    expect(complaints).toEqual([]);
  });

  it('copies where the browser gives no clipboard, as without TLS', async () => {
    await using watched = await open();
    const { page } = watched;
    await page.evaluate(() => {
      Object.defineProperty(navigator, 'clipboard', { value: undefined });
      addEventListener('copy', () => document.documentElement.setAttribute('data-copied', String(getSelection())));
    });
    await page.locator('[data-index="5"]').click();
    await page.keyboard.press('i');
    await page.getByRole('button', { name: 'Copy prompt' }).click();
    expect(await page.locator('html').getAttribute('data-copied')).toBe(`a red fox, number ${COUNT - 6}`);
  });

  it('reaches the last row, and only what is near is mounted', async () => {
    await using watched = await open('/', PHONE);
    const { page, complaints } = watched;
    await page.locator('[data-index="0"]').waitFor();
    await page.keyboard.press('End');
    await page.locator(`[data-index="${COUNT - 1}"]:focus img.is-loaded`).waitFor();
    expect(await page.locator('[data-index="0"]').count()).toBe(0);
    await page.keyboard.press('Home');
    await page.locator('[data-index="0"]:focus').waitFor();
    expect(complaints).toEqual([]);
  });

  it('shows the original where there is no preview of an image', async () => {
    await using without = await runDaemon({ IMAGE_STORAGE_PREVIEWS_ENABLED: 'false' });
    await saveAt(without.address, pngOf({ width: 1100, height: 1000 }));
    await using watched = await openPage(browser, `http://${without.address}`);
    const { page, complaints } = watched;
    await page.goto(`http://${without.address}`);
    await page.locator('[data-index="0"]').click();
    await page.locator('.picture-layers img.is-loaded:not([src*="width"])').waitFor();
    expect(complaints).toEqual([]);
  });

  it('says what an empty store wants, and tells of a daemon that is gone', async () => {
    await using empty = await runDaemon();
    const at = `http://${empty.address}`;
    await using watched = await openPage(browser, at);
    const { page, complaints } = watched;
    await page.goto(at);
    await page.getByText('No images yet').waitFor();
    expect(complaints).toEqual([]);
    await page.route('**/Stats', (route) => route.abort());
    await page.getByRole('combobox').fill('fox');
    await page.getByRole('alert').getByText('does not answer').waitFor();
    await page.unroute('**/Stats');
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.getByText('No images yet').waitFor();
  });

  it('finds all that is its own below a path, wherever in it one came from', async () => {
    await using below = await runDaemon({ IMAGE_STORAGE_PUBLIC_URL: 'http://127.0.0.1/art' });
    const { filename } = await saveAt(below.address, pngOf({ width: 48, height: 32 }));
    const at = `http://${below.address}`;
    await using watched = await openPage(browser, at);
    const { page, complaints } = watched;
    await page.goto(`${at}/art/i/${filename}`);
    await page.locator('.picture-layers img.is-loaded').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('[data-index="0"]:focus img.is-loaded').waitFor();
    expect(page.url()).toBe(`${at}/art/`);
    expect(await page.locator('link[rel=icon]').evaluate((link) => (link as HTMLLinkElement).href)).toContain(
      '/art/assets/',
    );
    expect(complaints).toEqual([]);
  });

  it('does not wait for ever for a daemon that takes a call and hangs', async () => {
    await using watched = await openPage(browser, origin);
    const { page } = watched;
    await page.clock.install();
    await page.route('**/Stats', () => undefined);
    const asked = page.waitForRequest('**/Stats');
    await page.goto(origin);
    await asked;
    await page.clock.fastForward('01:00');
    await page.getByRole('alert').getByText('does not answer').waitFor();
    expect(await page.getByRole('button', { name: 'Retry' }).count()).toBe(1);
  });
});
