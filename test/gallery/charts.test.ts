/** Models and days of what is shown: in a real browser, and as they are laid out. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { calendarOf } from '../../web/src/charts/calendar-layout.ts';
import { saveAt } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { hasBrowser, openBrowser, openPage } from './browser.ts';

describe('the calendar', () => {
  it('has each day of a year once, in columns of weeks that begin on Monday', () => {
    const [year, ...others] = calendarOf([{ name: '2024-02-29', count: 3 }]);
    expect(others).toEqual([]);
    expect(year).toMatchObject({ year: 2024, count: 3, weeks: 53 });
    expect(year!.days).toHaveLength(366);
    // 1 January 2024 was a Monday, 29 February a Thursday in the ninth week.
    expect(year!.days[0]).toMatchObject({ name: '2024-01-01', week: 0, weekday: 0 });
    expect(year!.days.find(({ count }) => count > 0)).toMatchObject({ name: '2024-02-29', week: 8, weekday: 3 });
    expect(year!.months).toHaveLength(12);
  });

  it('shades a day by its share, and leaves out what has no day', () => {
    const days = [
      { name: '2026-05-02', count: 1000 },
      { name: '2026-05-01', count: 1 },
      { name: '2025-01-01', count: 40 },
      { name: '', count: 7 },
    ];
    const years = calendarOf(days);
    expect(years.map(({ year, count }) => [year, count])).toEqual([
      [2026, 1001],
      [2025, 40],
    ]);
    const level = (name: string) => years.flatMap((year) => year.days).find((day) => day.name === name)!.level;
    expect([level('2026-05-02'), level('2025-01-01'), level('2026-05-01'), level('2026-05-03')]).toEqual([4, 3, 1, 0]);
  });
});

requires('Chromium', hasBrowser)('the charts', () => {
  let daemon: RunningDaemon;
  let browser: Browser;
  let origin: string;

  beforeAll(async () => {
    daemon = await runDaemon();
    origin = `http://${daemon.address}`;
    for (const [index, model] of ['flux', 'flux', 'sdxl', ''].entries()) {
      const timestamp = { seconds: BigInt(Date.UTC(2026, 2, 1 + Math.floor(index / 2)) / 1000), nanos: 0 };
      await saveAt(daemon.address, pngOf({ width: 48, height: 32, seed: index }), { metadata: { model, timestamp } });
    }
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await daemon.close();
  });

  it('count models and days, and narrow the view by a click; Back leads to them', async () => {
    await using watched = await openPage(browser, origin);
    const { page, complaints } = watched;
    await page.goto(origin);
    await page.getByRole('button', { name: 'Menu' }).click();
    await page.getByRole('button', { name: 'Models and days' }).click();
    const dialog = page.getByRole('dialog');
    const models = dialog.getByRole('row').filter({ hasText: /flux|sdxl|without/ });
    await models.nth(2).waitFor();
    expect(await models.evaluateAll((rows) => rows.map((row) => row.querySelector('td')!.textContent))).toEqual([
      '2',
      '1',
      '1',
    ]);
    expect(await dialog.getByRole('img').getAttribute('aria-label')).toContain('2026: 4 in all');
    await dialog.locator('[data-day="2026-03-02"]').click();
    await page.getByText('2 of 4').waitFor();
    expect(new URL(page.url()).search).toBe('?since=2026-03-02&until=2026-03-02');
    await page.goBack();
    await dialog.getByRole('button', { name: 'Show as a table' }).click();
    await dialog.getByRole('button', { name: 'Mar 1, 2026' }).waitFor();
    await dialog.getByRole('button', { name: 'flux' }).click();
    await page.getByText('2 of 4').waitFor();
    expect(new URL(page.url()).search).toBe('?model=flux');
    expect(complaints).toEqual([]);
  });
});
