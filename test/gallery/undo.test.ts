/** Deletes and their undo where things happen at the same time, go wrong in between, or are done elsewhere, too. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page, Route } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { connect, type ImageStorageClient } from '../../src/client.ts';
import { all } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon, runDaemonOver } from '../support/running-daemon.ts';
import { full } from '../support/scale.ts';
import { hasBrowser, openBrowser, openPage } from './browser.ts';

const COUNT = 6;
/** More than one call names. */
const MANY = full ? 1_030 : 30;
const FIRST = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 60 * 60 * 1000;

requires('Chromium', hasBrowser)('undo', () => {
  let daemon: RunningDaemon;
  let images: ImageStorageClient;
  let browser: Browser;
  let round = 0;
  let model: string;

  const save = (number: number, timestamp = new Date(FIRST + number * 60_000)) =>
    images.save(pngOf({ width: 16, height: 16, seed: number }), { prompt: `image ${number}`, model, timestamp });
  const listed = () => all(images.list({ model, order: 'oldest' }));
  const live = async () => (await listed()).map(({ metadata }) => metadata.prompt);
  const without = (...gone: number[]) =>
    Array.from({ length: COUNT }, (_, number) => number)
      .filter((number) => !gone.includes(number))
      .map((number) => `image ${number}`);
  const open = async () => {
    const origin = `http://${daemon.address}`;
    const watched = await openPage(browser, origin);
    await watched.page.goto(`${origin}/?model=${model}&order=oldest`);
    await watched.page.locator(`[data-index="${COUNT - 1}"] img.is-loaded`).waitFor();
    return watched;
  };
  const removeAt = async (page: Page, index: number) => {
    await page.locator(`[data-index="${index}"]`).focus();
    await page.keyboard.press('Delete');
    await page.locator(`[data-index="${index}"].is-gone`).waitFor();
  };

  beforeAll(async () => {
    daemon = await runDaemon();
    images = connect(daemon.address);
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    images.close();
    await daemon.close();
  });
  beforeEach(async () => {
    round += 1;
    model = `model-${round}`;
    for (let number = 0; number < COUNT; number += 1) await save(number);
  });

  it('takes back the last delete also while it and the one before are under way', async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    const held: Route[] = [];
    let isHeld = true;
    await page.route('**/Cleanup', (route) => (isHeld ? void held.push(route) : route.continue()));
    await removeAt(page, 1);
    await removeAt(page, 3);
    await page.keyboard.press('u');
    await expect.poll(() => held.length).toBe(2);
    isHeld = false;
    // The later one is answered first.
    for (const route of held.toReversed()) await route.continue();
    await page.locator('[data-index="3"]:not(.is-gone)').waitFor();
    await page.locator('[data-index="1"].is-gone').waitFor();
    await expect.poll(live).toEqual(without(1));
    await page.keyboard.press('u');
    await page.locator('[data-index="1"]:not(.is-gone)').waitFor();
    expect(await live()).toEqual(without());
    expect(complaints).toEqual([]);
  });

  it('can be asked for again where it failed, and is not where somebody else was first', async () => {
    await using watched = await open();
    const { page } = watched;
    await removeAt(page, 2);
    await page.getByText('Deleted 1').first().waitFor();
    const busy = { status: 503, json: { message: 'a disk is away', reason: 'BACKEND_UNAVAILABLE' } };
    await page.route('**/Restore', (route) => route.fulfill(busy));
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.locator('.notice.is-error').getByText('a disk is away').waitFor();
    await page.locator('[data-index="2"].is-gone').waitFor();
    await page.unroute('**/Restore');
    const [trashed] = await all(images.listTrash({ query: `model:${model}` }));
    await images.restore(trashed!.filename);
    await page.keyboard.press('u');
    await page.locator('[data-index="2"]:not(.is-gone)').waitFor();
    await page.getByText('1 image is back').first().waitFor();
    expect(await live()).toEqual(without());
  });

  it('says what was deleted elsewhere, shows what was pinned there, and turns past places that are empty', async () => {
    await save(COUNT, new Date(FIRST + DAY_MS));
    const [, second] = await listed();
    const origin = `http://${daemon.address}`;
    await using watched = await openPage(browser, origin);
    const { page } = watched;
    // Counted, but not listed any more.
    const counted = page.waitForResponse('**/Stats');
    await page.route('**/images?*', async (route) => {
      await counted;
      await images.delete(second!.filename);
      await route.continue();
    });
    await page.goto(`${origin}/?model=${model}&order=oldest`);
    await page.locator('[data-index="6"] img.is-loaded').waitFor();
    const prompts = page.locator('[data-index] img');
    expect(await prompts.evaluateAll((shown) => shown.map((image) => (image as HTMLImageElement).alt))).toEqual(
      without(1).concat('image 6'),
    );
    await page.locator('[data-index="4"]').click();
    const dialog = page.getByRole('dialog');
    await dialog.locator('img[alt="image 5"]').first().waitFor();
    await page.keyboard.press('ArrowRight');
    await dialog.locator('img[alt="image 6"]').first().waitFor();
    await page.keyboard.press('ArrowLeft');
    await dialog.locator('img[alt="image 5"]').first().waitFor();
    await page.keyboard.press('Delete');
    await dialog.locator('img[alt="image 6"]').first().waitFor();
    await page.keyboard.press('Escape');
    await page.locator('[data-index="6"]:focus').waitFor();
    await page.keyboard.press('ArrowLeft');
    await page.locator('[data-index="4"]:focus').waitFor();

    const [first, third] = await listed();
    await images.delete(first!.filename);
    await images.update(third!.filename, { pinned: true });
    for (const index of [0, 1]) await page.locator(`[data-index="${index}"] .check`).click({ force: true });
    await page.getByRole('button', { name: 'Delete' }).click();
    const told = `Spared, pinned or changed meanwhile: ${third!.filename}. Deleted elsewhere before: 1`;
    await page.getByText(told).first().waitFor();
    await page.locator('[data-index="0"].is-gone').waitFor();
    await page.locator('[data-index="1"]:not(.is-gone) .badge').waitFor();
  });

  it('brings back all of a delete of everything, and leaves what came meanwhile', async () => {
    for (let number = COUNT; number < MANY; number += 1) await save(number);
    const origin = `http://${daemon.address}`;
    await using watched = await openPage(browser, origin);
    const { page, complaints } = watched;
    await page.goto(origin);
    await page.locator('[data-index="0"]').focus();
    await page.keyboard.press('x');
    await page.getByRole('button', { name: /^Select all/ }).click();
    await page.keyboard.press('Delete');
    const dialog = page.getByRole('dialog', { name: /^Delete/ });
    await dialog.getByText('can be taken back until').waitFor();
    await images.save(pngOf({ width: 16, height: 16, seed: MANY }), { prompt: 'the new one', model });
    await dialog.getByRole('button', { name: /^Delete/ }).click();
    await page.getByText('Spared, new or changed meanwhile: 1').first().waitFor();
    expect(await live()).toEqual(['the new one']);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect.poll(async () => (await live()).length).toBe(MANY + 1);
    expect(complaints).toEqual([]);
  });

  it('is of whatever provider an image was deleted from', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const configFile = join(folder, 'image-storage.yaml');
    const provider = (name: string) => `  ${name}: { type: local, basePath: ${join(folder, name)} }`;
    await writeFile(
      configFile,
      ['defaultProvider: main', 'providers:', provider('main'), provider('other')].join('\n'),
    );
    const both = await runDaemonOver({ configFile });
    onTestFinished(() => both.close());
    const client = connect(both.address);
    onTestFinished(() => client.close());
    for (const provider of ['main', 'other', 'main']) {
      await client.save(pngOf({ width: 16, height: 16 }), { prompt: provider }, { provider });
    }
    const kept = async () => (await all(client.list({ provider: '*' }))).map((image) => image.provider).sort();
    const origin = `http://${both.address}`;
    await using watched = await openPage(browser, origin);
    const { page, complaints } = watched;
    await page.goto(`${origin}/?provider=*`);
    await page.locator('[data-index="0"]').focus();
    await page.keyboard.press('x');
    await page.getByRole('button', { name: 'Select all 3' }).click();
    await page.keyboard.press('Delete');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete 3' }).click();
    await page.getByText('Deleted 3').first().waitFor();
    expect(await kept()).toEqual([]);
    await page.keyboard.press('u');
    await page.getByText('3 images are back').first().waitFor();
    expect(await kept()).toEqual(['main', 'main', 'other']);
    await page.locator('[data-index="2"]').waitFor();
    for (const index of [0, 1, 2]) await removeAt(page, index);
    await page.getByText('Deleted 3').first().waitFor();
    expect(await kept()).toEqual([]);
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('3 images are back').first().waitFor();
    expect(await kept()).toEqual(['main', 'main', 'other']);
    expect(complaints).toEqual([]);
  });

  it('acts on all that match now, and deletes one image for a key that is held', async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    await page.locator('[data-index="1"]').focus();
    await page.keyboard.press('x');
    await page.getByRole('button', { name: `Select all ${COUNT}` }).click();
    await page.locator('[data-index="4"]').click();
    await page.getByText(`${COUNT - 1} selected`).waitFor();
    await save(COUNT, new Date(FIRST + DAY_MS));
    await page.keyboard.press('p');
    await page.getByText(`Pinned ${COUNT} images`).first().waitFor();
    const pinned = await all(images.list({ model, order: 'oldest', pinned: true }));
    expect(pinned.map(({ metadata }) => metadata.prompt)).toEqual(without(4).concat(`image ${COUNT}`));
    await page.keyboard.press('Escape');
    await page.locator('[data-index="4"]').focus();
    // The first press and what the keyboard makes of it while it is held.
    for (let press = 0; press < 3; press += 1) await page.keyboard.down('Delete');
    await page.keyboard.up('Delete');
    await page.getByText('Deleted 1').first().waitFor();
    await page.locator('[data-index="5"]:focus').waitFor();
    expect(await live()).toEqual(without(4).concat(`image ${COUNT}`));
    expect(complaints).toEqual([]);
  });

  it('empties a trash that takes several calls', async () => {
    await using watched = await open();
    const { page } = watched;
    await removeAt(page, 0);
    await page.getByText('Deleted 1').first().waitFor();
    let calls = 0;
    await page.route('**/Purge', (route) => {
      calls += 1;
      return calls < 3 ? route.fulfill({ json: { count: '1', more: true } }) : route.continue();
    });
    await page.goto(`http://${daemon.address}/?trash=1&provider=*`);
    const trash = page.getByRole('dialog', { name: 'Trash' });
    await trash.getByRole('button', { name: 'Empty the trash' }).click();
    await trash.getByRole('button', { name: 'Delete all of it for good' }).click();
    await trash.getByText('The trash is empty').waitFor();
    expect(calls).toBe(3);
  });
});
