/** Two images side by side: in a real browser, and what is said to differ. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pairsOf } from '../../web/src/compare/differences.ts';
import { compareWords } from '../../web/src/compare/words.ts';
import { saveAt } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { hasBrowser, openBrowser, openPage } from './browser.ts';

describe('what differs', () => {
  it('is told word by word, and the texts stay as they are', () => {
    const [left, right] = ['a red fox,  sitting in snow', 'a grey fox,  running in deep snow'];
    const pieces = compareWords(left, right);
    expect(pieces.map((side) => side.map(({ text }) => text).join(''))).toEqual([left, right]);
    const marked = pieces.map((side) => side.filter(({ isShared }) => !isShared).map(({ text }) => text.trim()));
    expect(marked).toEqual([
      ['red', 'sitting'],
      ['grey', 'running', 'deep'],
    ]);
  });

  it('keeps seeds of 64 bits, and leaves parameters out that are equal or told already', () => {
    const image = (parametersJson: string, seed: string) => ({
      metadata: { prompt: 'a fox', parametersJson },
      generation: { seed },
      width: 8,
      height: 8,
    });
    const left = image('{"seed":18446744073709551615,"vae":"a","clip":2}', '18446744073709551615');
    const right = image('{"seed":18446744073709551614,"clip":2,"extra":{"a":1}}', '18446744073709551614');
    const differing = pairsOf(left, right).filter((pair) => pair.left !== pair.right);
    expect(differing.map((pair) => [pair.name, pair.left, pair.right])).toEqual([
      ['Seed', '18446744073709551615', '18446744073709551614'],
      ['extra', '', '{"a":"1"}'],
      ['vae', 'a', ''],
    ]);
  });
});

requires('Chromium', hasBrowser)('the comparison', () => {
  let daemon: RunningDaemon;
  let browser: Browser;
  let origin: string;

  beforeAll(async () => {
    daemon = await runDaemon();
    origin = `http://${daemon.address}`;
    for (let number = 0; number < 3; number += 1) {
      const timestamp = { seconds: BigInt(1_780_000_000 + number), nanos: 0 };
      const metadata = { prompt: `a fox, take ${number}`, timestamp, parametersJson: `{"seed":${number}}` };
      await saveAt(daemon.address, pngOf({ width: 480, height: 320, seed: number }), { metadata });
    }
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await daemon.close();
  });

  it('zooms both together, says what differs, turns the right one, and leads back to the image', async () => {
    await using watched = await openPage(browser, origin);
    const { page, complaints } = watched;
    await page.goto(origin);
    await page.locator('[data-index="0"]').click();
    await page.getByRole('dialog').locator('img.is-loaded').first().waitFor();
    await page.keyboard.press('c');
    const dialog = page.getByRole('dialog', { name: 'Two images side by side' });
    await dialog.getByRole('row', { name: 'Prompt' }).waitFor();
    const marks = () => dialog.getByRole('row', { name: 'Prompt' }).locator('mark').allTextContents();
    expect(await marks()).toEqual(['2', '1']);
    await page.keyboard.press('ArrowRight');
    await dialog.locator('img[alt="a fox, take 0"]').waitFor();
    expect(await marks()).toEqual(['2', '0']);
    await page.keyboard.press(' ');
    const transforms = () =>
      dialog
        .locator('.picture-layers')
        .evaluateAll((all) => all.map(({ style }) => (style as CSSStyleDeclaration).transform));
    const [left, right] = await transforms();
    expect(left).toMatch(/scale\((?!1\))/);
    expect(right).toBe(left);
    await page.goto(page.url());
    await dialog.locator('img[alt="a fox, take 0"]').waitFor();
    await page.goBack();
    await dialog.waitFor({ state: 'detached' });
    expect(new URL(page.url()).searchParams.get('image')).toMatch(/^20260528_/);
    expect(complaints).toEqual([]);
  });
});
