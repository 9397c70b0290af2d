/** What people meet: every state of the page is fit for who sees little, uses no mouse, or comes to an empty or locked store. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { AxeResults } from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { saveAt } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { full } from '../support/scale.ts';
import { hasBrowser, openBrowser, openPage, PHONE, WIDE } from './browser.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TOKEN = newToken();
/** What axe looks at in every run; the rest, and phones, take a full one. */
const QUICK = new Set(['menu', 'keys', 'charts', 'list-selection']);
const COUNT = 90;
const FIRST = Date.UTC(2026, 0, 1) / 1000;
const NARROW = { ...PHONE, viewport: { width: 320, height: 640 } };
/** Where pictures of each state go; unset: none are made. */
const { GALLERY_SCREENSHOTS: screenshots } = process.env;

/** What axe finds that keeps somebody out; colours in both themes. */
async function troubleOn(page: Page, state: string): Promise<string[]> {
  const found: string[] = [];
  await photograph(page, state);
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(AXE);
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const options = colorScheme === 'dark' ? {} : { runOnly: ['color-contrast'] };
    const { violations } = await page.evaluate<AxeResults, object>((given) => axe.run(document, given), options);
    for (const { id, impact, nodes } of violations) {
      if (impact !== 'serious' && impact !== 'critical') continue;
      found.push(...nodes.map(({ html }) => `${state}, ${colorScheme}: ${id} ${html.slice(0, 160)}`));
    }
  }
  return found;
}

async function photograph(page: Page, state: string): Promise<void> {
  if (screenshots === undefined) return;
  mkdirSync(screenshots, { recursive: true });
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.screenshot({ path: join(screenshots, `${state}-${colorScheme}.png`) });
  }
}

/** Buttons that are cut off at the right, or have less than 44 px for a finger. */
function outOfReach(page: Page): Promise<string[]> {
  return page.locator('.selection-bar button, .chip, .dialog button').evaluateAll((buttons) =>
    buttons
      .filter((button) => button.closest('.chips') === null || button.getBoundingClientRect().left < innerWidth)
      .map((button) => ({ name: button.textContent, ...button.getBoundingClientRect().toJSON() }))
      .filter(({ height, right, name }) => height < 44 || (right > innerWidth && !name?.startsWith('not')))
      .map(({ name, height, right }) => `${name}: ${height} px high, to ${right}`),
  );
}

declare const axe: { run(context: Document, options: object): Promise<AxeResults> };

requires('Chromium', hasBrowser)('the gallery', () => {
  let daemon: RunningDaemon;
  let browser: Browser;

  beforeAll(async () => {
    daemon = await runDaemon({ IMAGE_STORAGE_PROVIDERS_LOCAL_TRASH_DAYS: '7' });
    for (let number = 0; number < COUNT; number += 1) {
      const metadata = {
        prompt: `a heron at dawn, number ${number}`,
        model: number % 2 === 0 ? 'flux' : 'sdxl',
        timestamp: { seconds: BigInt(FIRST + number * 86_400), nanos: 0 },
        parametersJson: `{"seed":${number},"steps":20,"negative_prompt":"blurry"}`,
        tags: ['bird'],
      };
      await saveAt(daemon.address, pngOf({ width: 480, height: 320, seed: number }), {
        metadata,
        pinned: number === 88,
      });
    }
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await daemon.close();
  });

  const open = async (address: string, options: BrowserContextOptions = WIDE) => {
    const watched = await openPage(browser, new URL(address).origin, options);
    await watched.page.goto(address);
    return watched;
  };

  it.each([['wide', WIDE] as const, ...(full ? [['phone', PHONE] as const] : [])])(
    'has nothing serious for axe, whatever is open, %s',
    async (name, size) => {
      await using watched = await open(`http://${daemon.address}`, size);
      const { page } = watched;
      const trouble: string[] = [];
      const look = async (state: string) => {
        if (full || QUICK.has(state)) trouble.push(...(await troubleOn(page, `${name}-${state}`)));
        else await photograph(page, `${name}-${state}`);
      };
      await page.locator('[data-index="3"] img.is-loaded').waitFor();
      await look('grid');
      await page.getByRole('button', { name: 'Menu' }).click();
      await look('menu');
      await page.keyboard.press('Escape');
      await page.keyboard.press('?');
      await page.getByRole('dialog').waitFor();
      await look('keys');
      await page.keyboard.press('Escape');
      await page.locator('[data-index="3"]').click();
      await page.locator('.lightbox img.is-loaded').first().waitFor();
      await look('image');
      await page.keyboard.press('i');
      await page.locator('.panel .mono').first().waitFor();
      await look('image-panel');
      await page.keyboard.press('c');
      await page.locator('.compare').first().waitFor();
      await look('compare');
      for (const [state, path] of Object.entries({ charts: '?charts=1', trash: '?trash=1', cleanup: '?cleanup=1' })) {
        await page.goto(`http://${daemon.address}/${path}`);
        await page.getByRole('dialog').waitFor();
        await look(state);
      }
      await page.goto(`http://${daemon.address}/?density=list&model=flux`);
      await page.locator('[data-index="3"] img.is-loaded').waitFor();
      await page.keyboard.press('Home');
      await page.keyboard.press('x');
      await look('list-selection');
      await page.goto(`http://${daemon.address}/?model=flix`);
      await page.getByText('None of').waitFor();
      await look('no-match');
      expect(trouble).toEqual([]);
    },
  );

  it('keeps the cell that has the focus for who hears the page, however far it is scrolled', async () => {
    await using watched = await open(`http://${daemon.address}`, PHONE);
    const { page } = watched;
    await page.locator('[data-index="0"] img.is-loaded').waitFor();
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowRight');
    await page.locator('[data-index="1"]:focus').waitFor();
    await page.locator('.scroller').evaluate((scroller) => scroller.scrollTo(0, scroller.scrollHeight));
    await page.locator('[data-index="89"] img.is-loaded').waitFor();
    const accessibility = await page.context().newCDPSession(page);
    const { nodes } = await accessibility.send('Accessibility.getFullAXTree');
    const focused = nodes.filter(({ properties = [] }) =>
      properties.some(({ name, value }) => name === 'focused' && value.value),
    );
    expect(focused.map(({ role, name }) => [role?.value, name?.value])).toContainEqual([
      'link',
      'a heron at dawn, number 88 pinned',
    ]);
    const grid = page.getByRole('grid', { name: 'Images' });
    expect(await grid.getAttribute('aria-rowcount')).toBe('30');
    expect(await grid.getAttribute('aria-colcount')).toBe('3');
    expect(await page.locator('[role=row]:has([data-index="1"])').getAttribute('aria-rowindex')).toBe('1');
    expect(await page.locator('[role=row]:has([data-index="89"])').getAttribute('aria-rowindex')).toBe('30');
    await page.keyboard.press('ArrowRight');
    await page.locator('[data-index="2"]:focus').waitFor();
  });

  it('leaves the focus in the page where what had it goes', async () => {
    await using watched = await open(`http://${daemon.address}/?model=flux`);
    const { page, complaints } = watched;
    await page.locator('[data-index="3"] img.is-loaded').waitFor();
    await page.locator('[data-index="3"]').focus();
    await page.keyboard.press('x');
    await page.getByRole('button', { name: 'Select nothing' }).press('Enter');
    await page.locator('[data-index="3"]:focus').waitFor();
    await page.keyboard.press('i');
    await page.locator('.panel').getByRole('button', { name: 'Close' }).press('Enter');
    await page.locator('[data-index="3"]:focus').waitFor();
    await page.getByRole('button', { name: 'Remove the filter model flux' }).press('Enter');
    await page.getByText(`${COUNT}`, { exact: true }).waitFor();
    await page.locator('[data-index="0"]:focus').waitFor();
    expect(complaints).toEqual([]);
  });

  it('blurs by one key whatever tells of images, and the title', async () => {
    await using watched = await open(`http://${daemon.address}/?density=list`);
    const { page } = watched;
    await page.locator('[data-index="3"] img.is-loaded').waitFor();
    await page.keyboard.press('b');
    const sharp = (...selectors: string[]) =>
      page
        .locator(selectors.join())
        .evaluateAll((parts) =>
          parts
            .filter((part) => !getComputedStyle(part).filter.includes('blur') && part.closest('[hidden]') === null)
            .map(({ outerHTML }) => outerHTML.slice(0, 80)),
        );
    expect(await sharp('.thumb', '.line-prompt')).toEqual([]);
    await page.locator('[data-index="3"]').click();
    await page.keyboard.press('i');
    await page.locator('.panel dd').first().waitFor();
    expect(await sharp('.picture-layers', '.panel p', '.panel dd')).toEqual([]);
    expect(await page.title()).toBe('ImageStorage');
    await page.keyboard.press('c');
    await page.locator('.differences td').first().waitFor();
    expect(await sharp('.picture-layers', '.differences td')).toEqual([]);
  });

  it('has all of the menu in reach where the page is enlarged', async () => {
    await using watched = await open(`http://${daemon.address}`, { viewport: { width: 720, height: 400 } });
    const { page } = watched;
    await page.getByRole('button', { name: 'Menu' }).click();
    await page.getByRole('button', { name: 'Keys' }).click();
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    expect(await page.locator('#menu:popover-open').count()).toBe(0);
  });

  it('has all within reach of a finger on the narrowest phone', async () => {
    await using watched = await open(`http://${daemon.address}/?tag=bird&pinned=0`, NARROW);
    const { page } = watched;
    await page.locator('[data-index="3"] img.is-loaded').waitFor();
    await page.locator('[data-index="3"]').focus();
    await page.keyboard.press('x');
    await page.getByText('1 selected').waitFor();
    expect(await outOfReach(page)).toEqual([]);
    await page.keyboard.press('x');
    await page.goto(`http://${daemon.address}/?charts=1`);
    await page.getByRole('dialog').getByText('sdxl').waitFor();
    expect(await outOfReach(page)).toEqual([]);
  });

  it('says what to do where nothing is there, and shows what the line that it offers brings in', async () => {
    await using empty = await runDaemon({}, { command: 'npm run cli --' });
    await using watched = await open(`http://${empty.address}`);
    const { page } = watched;
    await page.getByText('No images yet').waitFor();
    const line = (await page.locator('.command code').textContent())!;
    expect(line).toBe(`npm run cli -- import ~/ComfyUI/output --address ${empty.address}`);
    const trouble = await troubleOn(page, 'empty');
    await using home = await temporaryHome();
    await promisify(execFile)('sh', ['-c', line], { cwd: ROOT, env: { ...process.env, HOME: home.path } });
    await page.locator('[data-index="1"] img.is-loaded').waitFor();
    expect(await page.locator('.count').textContent()).toBe('2');
    expect(trouble).toEqual([]);
  });

  it('is fit for reading while it is locked, when the daemon fails, and when it is gone', async () => {
    const locked = await runDaemon({ IMAGE_STORAGE_AUTH_TOKENS: tokenLine('me', TOKEN, ['read']) });
    await using watched = await open(`http://${locked.address}`, PHONE);
    const { page } = watched;
    await page.getByLabel('Its token opens it').waitFor();
    const trouble = await troubleOn(page, 'locked');
    await page.route('**/Stats', (route) => route.fulfill({ status: 500, json: { message: 'a disk is gone' } }));
    await page.getByLabel('Its token opens it').fill(TOKEN);
    await page.keyboard.press('Enter');
    await page.getByText('a disk is gone').waitFor();
    trouble.push(...(await troubleOn(page, 'failed')));
    await page.unroute('**/Stats');
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.getByText('No images yet').waitFor();
    expect(await page.getByRole('button', { name: 'Upload images' }).count()).toBe(0);
    await locked.close();
    await page.getByRole('alert').getByText('does not answer').waitFor();
    trouble.push(...(await troubleOn(page, 'offline')));
    expect(trouble).toEqual([]);
  });
});

/** With the folder of a generator in it. */
async function temporaryHome() {
  const path = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const folder = join(path, 'ComfyUI', 'output');
  mkdirSync(folder, { recursive: true });
  for (const seed of [1, 2])
    writeFileSync(join(folder, `ComfyUI_0000${seed}_.png`), pngOf({ width: 48, height: 32, seed }));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
