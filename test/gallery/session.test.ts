/** The way into a gallery that is locked: by a token that is typed, or by a link that carries it. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { connect } from '../../src/client.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { hasBrowser, openBrowser, openPage } from './browser.ts';

const TOKEN = newToken();
const EXPIRED = newToken();
/** Said by the browser itself of each answer 401. */
const UNAUTHORIZED = 'error: Failed to load resource: the server responded with a status of 401 (Unauthorized)';

requires('Chromium', hasBrowser)('a locked gallery', () => {
  let daemon: RunningDaemon;
  let browser: Browser;
  let origin: string;

  beforeAll(async () => {
    const lines = [tokenLine('me', TOKEN, ['read', 'write']), tokenLine('past', EXPIRED, ['read'], new Date(0))];
    daemon = await runDaemon({ IMAGE_STORAGE_AUTH_TOKENS: lines.join('\n') });
    origin = `http://${daemon.address}`;
    const images = connect(daemon.address, { token: TOKEN });
    await images.save(pngOf({ width: 48, height: 32, seed: 1 }), { prompt: 'a heron' });
    images.close();
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await daemon.close();
  });

  it('asks for the token once, and says what is wrong with another', async () => {
    await using watched = await openPage(browser, origin);
    const { page, complaints } = watched;
    await page.goto(origin);
    const field = page.getByLabel('Its token opens it');
    await field.fill(newToken());
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('does not know this token').waitFor();
    await field.fill(EXPIRED);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('alert').getByText('has expired').waitFor();
    await field.fill('ключ');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('does not know this token').waitFor();
    // As messages break it.
    await field.fill(` ${TOKEN.slice(0, 9)}\u200b${TOKEN.slice(9)}\u2069 `);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.locator('[data-index="0"] img.is-loaded').waitFor();
    await page.reload();
    await page.locator('[data-index="0"] img.is-loaded').waitFor();
    expect(await page.evaluate(() => [document.cookie, JSON.stringify({ ...localStorage })].join())).not.toContain(
      'is_',
    );
    expect(complaints.filter((complaint) => !complaint.startsWith(UNAUTHORIZED))).toEqual([]);
  });

  it('is opened by a link, whose token the address bar does not keep, until it is locked again', async () => {
    await using watched = await openPage(browser, origin);
    const { page, complaints } = watched;
    await page.goto(`${origin}/?q=heron#t=${TOKEN}`);
    await page.locator('[data-index="0"] img.is-loaded').waitFor();
    expect(page.url()).toBe(`${origin}/?q=heron`);
    expect(complaints).toEqual([]);
    await page.getByRole('button', { name: 'Menu' }).click();
    await page.getByRole('button', { name: 'Lock on this device' }).click();
    await page.getByLabel('Its token opens it').waitFor();
    expect(await page.locator('[data-index="0"]').count()).toBe(0);
  });

  it('takes the token of a link that is opened in a page that is open, however the link was broken before', async () => {
    await using watched = await openPage(browser, origin);
    const { page, complaints } = watched;
    const problem = page.getByRole('alert');
    for (const broken of ['%', `${TOKEN}%C3%A9`]) {
      await page.goto(`${origin}/#t=${broken}`);
      await problem.getByText('does not know this token').waitFor();
      expect(page.url()).toBe(`${origin}/`);
      await page.goto('about:blank');
    }
    await page.goto(origin);
    await page.getByLabel('Its token opens it').waitFor();
    // Of the same document: the browser loads nothing.
    await page.goto(`${origin}/#t=${TOKEN}`);
    await page.locator('[data-index="0"] img.is-loaded').waitFor();
    expect(page.url()).toBe(`${origin}/`);
    expect(complaints.filter((complaint) => !complaint.startsWith(UNAUTHORIZED))).toEqual([]);
  });
});
