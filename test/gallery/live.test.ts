/** What comes while somebody looks: it enters at the top, and moves nothing anywhere else. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { saveAt } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { full } from '../support/scale.ts';
import { hasBrowser, openBrowser, openPage } from './browser.ts';

const ARRIVING = full ? 500 : 12;
const ENOUGH_TO_SCROLL = 150;
const FIRST = 1_780_000_000;

requires('Chromium', hasBrowser)('the gallery, while images come', () => {
  let daemon: RunningDaemon;
  let browser: Browser;
  let saved = 0;

  const save = async (count: number) => {
    for (const end = saved + count; saved < end; saved += 1) {
      const metadata = { prompt: `image ${saved}`, timestamp: { seconds: BigInt(FIRST + saved), nanos: 0 } };
      await saveAt(daemon.address, pngOf({ width: 48, height: 32, seed: saved }), { metadata });
    }
  };
  const open = async () => {
    const origin = `http://${daemon.address}`;
    const watched = await openPage(browser, origin);
    await watched.page.goto(origin);
    await watched.page.locator('[data-index="0"] img.is-loaded').waitFor();
    return watched;
  };

  beforeAll(async () => {
    daemon = await runDaemon();
    await save(ENOUGH_TO_SCROLL);
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await daemon.close();
  });

  it('lets them enter at the top, and leaves the focus with its image', async () => {
    const count = saved;
    await using watched = await open();
    const { page, complaints } = watched;
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowRight');
    await page.locator(`a:focus img[alt="image ${count - 2}"]`).waitFor();
    await save(3);
    await page.locator(`[data-index="0"] img[alt="image ${count + 2}"]`).waitFor();
    await page.locator(`[data-index="4"]:focus img[alt="image ${count - 2}"]`).waitFor();
    expect(await page.locator('.count').textContent()).toBe(`${count + 3}`);
    expect(complaints).toEqual([]);
  });

  it('moves nothing further down, says how many there are, and shows them when asked', async () => {
    const count = saved;
    await using watched = await open();
    const { page, complaints } = watched;
    await page.locator('.scroller').evaluate((scroller) => scroller.scrollTo(0, 1500));
    await page.locator('[data-index="63"] img.is-loaded').waitFor();
    const seen = () =>
      page
        .locator('[data-index]')
        .evaluateAll((cells) =>
          cells.map((cell) =>
            [
              (cell as HTMLElement).dataset.index,
              cell.querySelector('img')?.alt,
              cell.getBoundingClientRect().top,
            ].join(),
          ),
        );
    const before = await seen();
    await save(ARRIVING);
    const pill = page.getByRole('button', { name: `${ARRIVING} new` });
    await pill.waitFor();
    expect(await seen()).toEqual(before);
    await pill.click();
    await page.locator(`[data-index="0"] img[alt="image ${count + ARRIVING - 1}"]`).waitFor();
    expect(await page.locator('.scroller').evaluate(({ scrollTop }) => scrollTop)).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('moves nothing under an open image, and is whole again when the daemon is', async () => {
    const count = saved;
    await using watched = await open();
    const { page } = watched;
    await page.locator('[data-index="2"]').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText(`3 of ${count}`).waitFor();
    await page.route('**/Stats', (route) => route.abort());
    await page.locator('.problem-line').waitFor({ state: 'attached' });
    await save(2);
    await page.unroute('**/Stats');
    await page.getByText('2 new').waitFor({ state: 'attached' });
    expect(await page.locator('.problem-line').count()).toBe(0);
    expect(await dialog.locator('img').first().getAttribute('alt')).toBe(`image ${count - 3}`);
    expect(await dialog.getByText(`3 of ${count}`).count()).toBe(1);
    await page.keyboard.press('Escape');
    await page.locator(`[data-index="4"]:focus img[alt="image ${count - 3}"]`).waitFor();
  });
});
