/** The gallery at a first look, in a real browser on a real daemon; `npm run check:page` tries the rest. */
import { expect, it, onTestFinished } from 'vitest';
import { saveAt } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { runDaemon } from '../support/running-daemon.ts';
import { hasBrowser, openBrowser, openPage, WIDE } from './browser.ts';

const PROMPTS = ['a red fox', 'an owl at night', 'a fox in the snow'];

requires('Chromium', hasBrowser)('the gallery', () => {
  it('shows what is stored, opens it, and finds what is typed', async () => {
    const daemon = await runDaemon();
    onTestFinished(() => daemon.close());
    const browser = await openBrowser();
    onTestFinished(() => browser.close());
    const origin = `http://${daemon.address}`;
    for (const [number, prompt] of PROMPTS.entries()) {
      const metadata = { prompt, model: 'flux', timestamp: { seconds: BigInt(1_767_225_600 + number), nanos: 0 } };
      await saveAt(daemon.address, pngOf({ width: 48, height: 32, seed: number }), { metadata });
    }
    await using watched = await openPage(browser, origin, WIDE);
    const { page, complaints } = watched;
    await page.goto(origin);
    await page.locator('.thumb img.is-loaded').first().waitFor();
    expect(await page.locator('.count').textContent()).toBe('3');
    expect(await page.locator('[data-index="1"] img').getAttribute('alt')).toBe(PROMPTS[1]);
    await page.locator('[data-index="0"]').click();
    await page.getByRole('dialog').getByText('1 of 3').waitFor();
    await page.keyboard.press('ArrowRight');
    await page.getByRole('dialog').getByText('2 of 3').waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('/');
    await page.keyboard.type('fox');
    await page.locator('.count', { hasText: '2 of 3' }).waitFor();
    expect(complaints).toEqual([]);
  });
});
