/**
 * `npm run bench:gallery [-- --images N] [-- --dir FOLDER]`: drives the page in a real Chromium over 50,000 images with
 * workflows of 50 kB, and compares what somebody waits for with the aims. It takes minutes, and 8 GB for a while.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { connect } from '../src/client.ts';
import { openBrowser, openPage, WIDE } from '../test/gallery/browser.ts';
import { promptOf } from '../test/support/many-images.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { percentile } from './rounds.ts';

const WORKFLOW_BYTES = 50_000;
const SAVERS = 16;
const PICTURES = 64;
const FIRST_DAY = Date.UTC(2025, 0, 1);
const DAYS = 400;
const DAY_MS = 24 * 60 * 60 * 1000;
/** How long a fling through all takes, as by a finger that does not let go. */
const FLING_MS = 4_000;
const FLINGS = 3;
const MB = 1e6;

const { values } = parseArgs({
  options: { images: { type: 'string', default: '50000' }, dir: { type: 'string', default: tmpdir() } },
});
const images = Number(values.images);
const folder = await mkdtemp(join(values.dir, 'image-storage-gallery-'));
const basePath = join(folder, 'outputs');
try {
  await measure();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  console.log(`${images} images with workflows of ${WORKFLOW_BYTES / 1000} kB\n`);
  const filling = await startDaemon(basePath);
  await fill(filling);
  await filling.stop();
  await rm(join(basePath, 'metadata', 'previews'), { recursive: true, force: true });
  const browser = await openBrowser();
  const daemon = await startDaemon(basePath);
  try {
    report('first pictures, no preview made', await firstPictures(browser, daemon), 's', 4);
    report('first pictures, previews made', await firstPictures(browser, daemon), 's', 1);
    await measureFlings(browser, daemon);
  } finally {
    await browser.close();
    await daemon.stop();
  }
}

async function fill({ address }: Daemon): Promise<void> {
  const client = connect(address);
  const pictures = await Promise.all(Array.from({ length: PICTURES }, (_, index) => pictureOf(index)));
  const parametersJson = JSON.stringify({ seed: 1, steps: 20, workflow: 'n'.repeat(WORKFLOW_BYTES) });
  let next = 0;
  const save = async () => {
    for (let index = next++; index < images; index = next++) {
      const timestamp = new Date(FIRST_DAY + Math.floor(((index * 7919) % (DAYS * 1000)) / 1000) * DAY_MS + index);
      const about = { prompt: promptOf(index), model: `model-${index % 7}`, timestamp, parametersJson };
      await client.save(pictures[index % PICTURES]!, about);
    }
  };
  await Promise.all(Array.from({ length: SAVERS }, save));
  client.close();
}

function pictureOf(index: number): Promise<Buffer> {
  const [hue, side] = [(index * 47) % 360, 768];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}"><rect width="100%" height="100%" fill="hsl(${hue},50%,40%)"/><circle cx="${index * 11}" cy="300" r="200" fill="hsl(${hue + 120},60%,60%)"/></svg>`;
  return sharp(Buffer.from(svg)).jpeg().toBuffer();
}

/** Until every cell that is seen has its picture, in seconds, with nothing in the browser's cache. */
async function firstPictures(browser: Browser, { address }: Daemon): Promise<number> {
  await using watched = await openPage(browser, `http://${address}`, WIDE);
  const begun = performance.now();
  await watched.page.goto(`http://${address}`);
  await untilLoaded(watched.page);
  return (performance.now() - begun) / 1000;
}

async function measureFlings(browser: Browser, { address }: Daemon): Promise<void> {
  await using watched = await openPage(browser, `http://${address}`, WIDE);
  const { page } = watched;
  await page.goto(`http://${address}`);
  await untilLoaded(page);
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.enable');
  const heaps: number[] = [];
  for (let fling = 1; fling <= FLINGS; fling += 1) {
    const frames = await page.evaluate(flingThrough, FLING_MS);
    const begun = performance.now();
    await untilLoaded(page);
    report(`pictures of the last row, fling ${fling}`, (performance.now() - begun) / 1000, 's', 2);
    report(`frames of fling ${fling}, p95`, percentile(frames, 95), 'ms', 100);
    await page.locator('.scroller').evaluate((scroller) => scroller.scrollTo(0, 0));
    await untilLoaded(page);
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    heaps.push(usedSize / MB);
  }
  console.log(`heap of the tab after each fling: ${heaps.map((heap) => `${heap.toFixed(1)} MB`).join(', ')}`);
  console.log(`complaints of the browser: ${watched.complaints.length}`);
}

/** Scrolls from the top to the end, as fast as it takes; returns the time of each frame in ms. */
function flingThrough(durationMs: number): Promise<number[]> {
  const scroller = document.querySelector('.scroller')!;
  const end = scroller.scrollHeight - scroller.clientHeight;
  return new Promise((resolve) => {
    const frames: number[] = [];
    const begun = performance.now();
    let last = begun;
    const step = (now: number) => {
      frames.push(now - last);
      last = now;
      const share = Math.min(1, (now - begun) / durationMs);
      scroller.scrollTop = end * share;
      if (share < 1) requestAnimationFrame(step);
      else resolve(frames);
    };
    requestAnimationFrame(step);
  });
}

/** Until all cells that are seen have their rows and pictures. */
async function untilLoaded(page: Page): Promise<void> {
  await page.waitForFunction(() => {
    const { top, bottom } = document.querySelector('.scroller')!.getBoundingClientRect();
    const isSeen = (cell: Element) => {
      const place = cell.getBoundingClientRect();
      return place.bottom > top && place.top < bottom;
    };
    const cells = [...document.querySelectorAll('.cell')].filter(isSeen);
    return cells.length > 0 && cells.every((cell) => cell.querySelector('img.is-loaded') !== null);
  });
}

function report(what: string, value: number, unit: string, aim: number): void {
  const figure = `${value.toFixed(unit === 's' ? 2 : 0)} ${unit}`;
  console.log(`${what.padEnd(40)} ${figure.padStart(10)}   <= ${aim} ${unit}${value <= aim ? '' : '   NOT MET'}`);
}
