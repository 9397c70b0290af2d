/** Keeping and culling in a real browser: select, pin, tag, delete, take back, the trash, cleaning up. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { connect, type ImageStorageClient } from '../../src/client.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { all } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon, runDaemonOver } from '../support/running-daemon.ts';
import { hasBrowser, openBrowser, openPage } from './browser.ts';

const COUNT = 12;
const FIRST = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 60 * 60 * 1000;

requires('Chromium', hasBrowser)('culling', () => {
  let daemon: RunningDaemon;
  let images: ImageStorageClient;
  let browser: Browser;
  let origin: string;
  let round = 0;
  let model: string;

  const live = async () => {
    const prompts: string[] = [];
    for await (const { metadata } of images.list({ model, order: 'oldest' })) prompts.push(metadata.prompt);
    return prompts;
  };
  const save = async (count: number) => {
    for (let number = 0; number < count; number += 1) {
      const timestamp = new Date(FIRST + number * 60_000);
      await images.save(pngOf({ width: 16, height: 16, seed: number }), {
        prompt: `image ${number}`,
        model,
        timestamp,
      });
    }
  };
  const numbers = (...all: number[]) => all.map((number) => `image ${number}`);
  const open = async () => {
    const watched = await openPage(browser, origin);
    await watched.page.goto(`${origin}/?model=${model}&order=oldest`);
    await watched.page.locator('[data-index="0"] img.is-loaded').waitFor();
    await expect.poll(() => watched.page.locator('[data-index] img:not(.is-loaded)').count()).toBe(0);
    return watched;
  };
  const check = (page: Page, index: number) => page.locator(`[data-index="${index}"] .check`).click({ force: true });

  beforeAll(async () => {
    daemon = await runDaemon();
    origin = `http://${daemon.address}`;
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
    await save(COUNT);
  });

  it('deletes by a key and moves on, keeps the places, and takes back the last or all', async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    await page.keyboard.press('Home');
    for (const index of [0, 1, 2]) {
      await page.locator(`[data-index="${index}"]:focus`).waitFor();
      await page.keyboard.press('Delete');
      await page.locator(`[data-index="${index}"].is-gone`).waitFor();
    }
    await page.getByText('Deleted 3').first().waitFor();
    await page.locator('[data-index="3"]:focus').waitFor();
    expect(await live()).toEqual(numbers(3, 4, 5, 6, 7, 8, 9, 10, 11));
    expect(await page.locator('[data-index]').count()).toBe(COUNT);
    await page.keyboard.press('u');
    await page.locator('[data-index="2"]:not(.is-gone)').waitFor();
    expect(await live()).toEqual(numbers(2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
    await page.locator('[data-index="4"]').focus();
    await page.keyboard.press('Delete');
    await page.locator('[data-index="4"].is-gone').waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.locator('[data-index="4"]:not(.is-gone)').waitFor();
    expect(complaints).toEqual([]);
  });

  it('shows a picture that was refused while its image was deleted, once the image is back', async () => {
    await using watched = await openPage(browser, origin);
    const { page, complaints } = watched;
    const deleted = Promise.withResolvers<void>();
    await page.route(/[?&]width=/, async (route) => {
      await deleted.promise;
      await route.continue();
    });
    await page.goto(`${origin}/?model=${model}&order=oldest`);
    await page.locator('[data-index="0"]').focus();
    await page.keyboard.press('Delete');
    await page.getByText('Deleted 1').first().waitFor();
    deleted.resolve();
    await page.locator('[data-index="0"].is-gone img.is-broken').waitFor({ state: 'attached' });
    await page.keyboard.press('u');
    await page.locator('[data-index="0"]:not(.is-gone) img.is-loaded').waitFor();
    expect(complaints.filter((text) => !text.includes('404'))).toEqual([]);
  });

  it('spares and names what was pinned meanwhile', async () => {
    await using watched = await open();
    const { page } = watched;
    for (const index of [0, 1, 2]) await check(page, index);
    await page.getByText('3 selected').waitFor();
    const [first] = await all(images.list({ model, order: 'oldest' }));
    await images.update(first!.filename, { pinned: true });
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByText(`Deleted 2. Spared, pinned or changed meanwhile: ${first!.filename}`).first().waitFor();
    await page.locator('[data-index="0"]:not(.is-gone)').waitFor();
    expect(await live()).toEqual(numbers(0, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  });

  it('brings the cells back where the daemon refuses, and says why', async () => {
    await using watched = await open();
    const { page } = watched;
    await page.route('**/Cleanup', (route) => route.abort());
    await page.locator('[data-index="5"]').focus();
    await page.keyboard.press('Delete');
    await page.locator('.notice.is-error').getByText('does not answer').waitFor();
    await page.locator('[data-index="5"]:not(.is-gone)').waitFor();
    expect(await live()).toHaveLength(COUNT);
  });

  it('selects a range by Shift and all that match but a few; a plan comes before many are deleted', async () => {
    await save(COUNT);
    await using watched = await open();
    const { page, complaints } = watched;
    await check(page, 2);
    await page.locator('[data-index="5"]').click({ modifiers: ['Shift'] });
    await page.getByText('4 selected').waitFor();
    await page.getByRole('button', { name: 'Select all 24' }).click();
    await page.locator('[data-index="0"]').click();
    await page.getByText('23 selected').waitFor();
    await page.getByRole('button', { name: 'Delete' }).click();
    const dialog = page.getByRole('dialog', { name: 'Delete 23 images?' });
    await dialog.getByText('can be taken back until').waitFor();
    await dialog.getByRole('button', { name: 'Keep them' }).click();
    expect(await live()).toHaveLength(2 * COUNT);
    await page.getByRole('button', { name: 'Delete' }).click();
    await images.save(pngOf({ width: 16, height: 16, seed: 99 }), { prompt: 'image 99', model });
    await dialog.getByRole('button', { name: 'Delete 23' }).click();
    await page.getByText('Deleted 23').first().waitFor();
    expect(await live()).toEqual(numbers(0, 99));
    expect(complaints).toEqual([]);
  });

  it('pins and tags in the grid and on an open image', async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    for (const index of [0, 1]) await check(page, index);
    await page.getByRole('button', { name: 'Pin, or take the pin off' }).click();
    await page.locator('[data-index="1"] .badge').waitFor();
    await page.getByRole('button', { name: 'Tags' }).click();
    await page.getByLabel('Tags to add').fill('keeper best');
    await page.keyboard.press('Enter');
    await expect.poll(async () => (await all(images.list({ model, tags: ['keeper', 'best'] }))).length).toBe(2);
    await page.keyboard.press('Escape');
    await page.locator('[data-index="3"]').click();
    await page.keyboard.press('p');
    await expect.poll(async () => (await all(images.list({ model, pinned: true }))).length).toBe(3);
    await page.getByRole('dialog').getByRole('button', { name: 'Pin', exact: true }).click();
    await expect.poll(async () => (await all(images.list({ model, pinned: true }))).length).toBe(2);
    expect(complaints).toEqual([]);
  });

  it('downloads what is selected as one archive, and stays where it is', async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    for (const index of [3, 7]) await check(page, index);
    // The page that opens for it goes again at once.
    const answered = page.context().waitForEvent('response', (response) => response.url().endsWith('/zip'));
    await page.getByRole('button', { name: 'Download' }).click();
    const response = await answered;
    expect(response.headers()['content-disposition']).toContain('attachment');
    expect(new URLSearchParams(response.request().postData()!).getAll('filename')).toHaveLength(2);
    await page.getByText('2 selected').waitFor();
    expect(complaints).toEqual([]);
  });

  it('shows the command in place of an archive that would be too large', async () => {
    await using watched = await openPage(browser, origin);
    const { page } = watched;
    await page.route('**/images?*', async (route) => {
      const response = await route.fetch();
      const text = (await response.text()).replaceAll(/"size":"\d+"/g, '"size":"3000000000"');
      await route.fulfill({ response, body: text });
    });
    await page.goto(`${origin}/?model=${model}&q=-"it's"`);
    await page.locator('[data-index="0"] img.is-loaded').waitFor();
    await check(page, 1);
    await page.getByRole('button', { name: 'Download' }).click();
    const command = page.getByRole('dialog').locator('code');
    const flags = `--model=${model} --query='-"it'\\''s"'`;
    expect(await command.textContent()).toBe(`image-storage export ${flags} images --address ${daemon.address}`);
  });

  it('deletes an open image and turns to the next, which the trash gives back', async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    await page.locator('[data-index="4"]').click();
    await page.getByRole('dialog').locator('img[alt="image 4"]').waitFor();
    await page.keyboard.press('Delete');
    await page.getByRole('dialog').locator('img[alt="image 5"]').waitFor();
    await expect.poll(async () => (await live()).includes('image 4')).toBe(false);
    await page.getByRole('dialog').getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('dialog').getByText('1 image is back').first().waitFor();
    expect(await live()).toHaveLength(COUNT);
    await page.keyboard.press('ArrowLeft');
    await page.getByRole('dialog').locator('img[alt="image 4"]').waitFor();
    await page.keyboard.press('Delete');
    await page.getByRole('dialog').locator('img[alt="image 5"]').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Menu' }).click();
    await page.getByRole('button', { name: 'Trash' }).click();
    const trash = page.getByRole('dialog', { name: 'Trash' });
    await trash.getByRole('button', { name: 'Restore image 4' }).first().click();
    await expect.poll(async () => (await live()).includes('image 4')).toBe(true);
    expect(complaints).toEqual([]);
  });

  it('restores what was deleted a day ago, after a restart of the daemon', async () => {
    const basePath = await mkdtemp(join(tmpdir(), 'image-storage-'));
    onTestFinished(() => rm(basePath, { recursive: true }));
    const yesterday = Date.now() - DAY_MS;
    const store = await openStorage({ providers: { local: { basePath } } }, { now: () => yesterday });
    const { filename } = await store.save(pngOf({ width: 16, height: 16 }), {
      prompt: 'a heron of yesterday',
      model: 'flux',
    });
    await store.delete(filename);
    await store.close();
    const later = await runDaemonOver({ flags: { basePath } });
    onTestFinished(() => later.close());
    await using watched = await openPage(browser, `http://${later.address}`);
    const { page, complaints } = watched;
    await page.goto(`http://${later.address}/?trash=1`);
    const trash = page.getByRole('dialog', { name: 'Trash' });
    await trash.getByText('kept until').waitFor();
    await trash.getByRole('button', { name: 'Restore a heron of yesterday' }).click();
    await trash.getByText('The trash is empty').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('[data-index="0"] img.is-loaded[alt="a heron of yesterday"]').waitFor();
    expect(complaints).toEqual([]);
  });

  it('cleans up by a plan with reasons', async () => {
    await using watched = await open();
    const { page } = watched;
    await page.getByRole('button', { name: 'Menu' }).click();
    await page.getByRole('button', { name: 'Clean up' }).click();
    const dialog = page.getByRole('dialog', { name: 'Clean up' });
    await dialog.getByLabel('Keep the newest … images').fill('4');
    await dialog.getByRole('button', { name: 'Show what would go' }).click();
    await dialog.getByText(/newest 4: 8,/).waitFor();
    await dialog.getByRole('button', { name: 'Delete 8' }).click();
    await page.getByText('Deleted 8').first().waitFor();
    expect(await live()).toEqual(numbers(8, 9, 10, 11));
  });

  it('asks first where there is no trash', async () => {
    await using bare = await runDaemon({ IMAGE_STORAGE_PROVIDERS_LOCAL_TRASH_DAYS: '0' });
    const at = `http://${bare.address}`;
    const client = connect(bare.address);
    await client.save(pngOf({ width: 16, height: 16 }), { prompt: 'the only one' });
    await using watched = await openPage(browser, at);
    const { page } = watched;
    await page.goto(at);
    await page.locator('[data-index="0"]').focus();
    await page.keyboard.press('Delete');
    const dialog = page.getByRole('dialog', { name: 'Delete 1 image?' });
    await dialog.getByText('for good').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('[data-index="0"]:not(.is-gone)').waitFor();
    expect(await all(client.list())).toHaveLength(1);
    client.close();
  });
});
