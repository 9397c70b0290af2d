/**
 * `npm run bench:million [-- --images N] [-- --dir FOLDER]`: measures how a store of a million images is built again,
 * starts, lists, searches and is cleaned up, and compares that with the aims. It takes minutes, and 10 GB for a while.
 */
import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect, type ImageStorageClient, type ListOptions, type TotalsOptions } from '../src/client.ts';
import { BROAD_WORD, layOutImages, negativeOf, RARE_WORD } from '../test/support/many-images.ts';
import { ask, startChild } from './child.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import type { ListLoad, ListRound } from './lister.ts';
import { mixedQuery, pairOf, wordsOf } from './queries.ts';
import { ms, percentile, runFor, timed } from './rounds.ts';

const PAGE = 100;
const PAIRS = 200;
const MIXED = 200;
const LISTED = 100_000;
const CALLERS = 8;
const FIRST_DAY = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 60 * 60 * 1000;

type Filter = Pick<ListOptions, 'model' | 'dateRange'>;

/** What takes one walk of the index each. */
const QUERIES: [what: string, query: string, filter?: Filter][] = [
  ['a phrase of three words', `"${wordsOf(17).slice(2, 5).join(' ')}"`],
  ['a word, but not another', `${BROAD_WORD} -${wordsOf(17)[2]}`],
  ['all but a word', `-${BROAD_WORD}`],
  ['either of two words', `${wordsOf(17)[2]} OR ${wordsOf(31)[2]}`],
  ['a seed', 'seed:12345'],
  ['steps and the negative prompt', `steps:>=20 negative:${negativeOf(3).split(' ')[2]}`],
  ['a short id', (12_345).toString(36).padStart(6, '0')],
  ['a model and two days', 'model:sdxl after:2026-01-03 before:2026-01-05'],
  ['a model and two days, by filters', '', { model: 'sdxl-turbo', dateRange: daysFrom(2, 2) }],
];

const { values } = parseArgs({
  options: { images: { type: 'string', default: '1000000' }, dir: { type: 'string', default: tmpdir() } },
});
const images = Number(values.images);

const folder = await mkdtemp(join(values.dir, 'image-storage-million-'));
try {
  await measure(join(folder, 'outputs'));
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(basePath: string): Promise<void> {
  console.log(`${images} images\n`);
  layOutImages(basePath, images);
  const rebuilding = await startDaemon(basePath);
  report('rebuild until it serves', `${rebuilding.startSeconds.toFixed(1)} s`, '<= 60 s');
  await measureSearches(rebuilding, ' while it is indexed');
  await rebuilding.stop();
  report('peak memory of it', `${rebuilding.peakMemoryMb().toFixed(0)} MB`, '<= 300 MB');

  const killed = await startDaemon(basePath);
  report('start after a clean stop', `${killed.startSeconds.toFixed(2)} s`, '<= 1 s');
  await killed.kill();
  const daemon = await startDaemon(basePath);
  report('start after kill -9', `${daemon.startSeconds.toFixed(2)} s`, '<= 3 s');
  // Until the catalog was looked through.
  await sleep(10_000);
  const bytes = statSync(join(basePath, 'metadata', 'catalog.db')).size / images;
  report('catalog an image', `${bytes.toFixed(0)} bytes`, '');
  await measureSearches(daemon, '');
  await measureLists(daemon);
  await daemon.stop();
  report('peak memory of all of it', `${daemon.peakMemoryMb().toFixed(0)} MB`, '<= 300 MB');
}

async function measureSearches(daemon: Daemon, when: string): Promise<void> {
  const client = connect(daemon.address);
  const page = (query?: string, filter: Filter = {}) =>
    timed(() => countListed(client, { limit: PAGE, ...filter, ...(query && { query }) }));
  await page();
  report(`first page of ${PAGE}${when}`, ms(await page()), '<= 20 ms');
  report(`a word of every second prompt${when}`, ms(await page(BROAD_WORD)), '<= 20 ms');
  report(`a word of one prompt in a thousand${when}`, ms(await page(RARE_WORD)), '');
  if (when === '') {
    const pairs: number[] = [];
    for (let pair = 0; pair < PAIRS; pair += 1) pairs.push(await page(pairOf(pair, images)));
    report(`${PAIRS} random pairs of words, median`, ms(percentile(pairs, 50)), '<= 50 ms');
    report(`${PAIRS} random pairs of words, worst`, ms(Math.max(...pairs)), '<= 200 ms');
    report('a beginning of a twelfth of all words', ms(await page('ba')), '');
    for (const [what, query, filter] of QUERIES) {
      const times: number[] = [];
      for (let time = 0; time < 5; time += 1) times.push(await page(query, filter));
      report(what, ms(percentile(times, 50)), '<= 10 ms');
    }
    const mixed: number[] = [];
    for (let number = 0; number < MIXED; number += 1) mixed.push(await page(mixedQuery(number, images)));
    report(`${MIXED} mixed queries, median`, ms(percentile(mixed, 50)), '<= 10 ms');
    report(`${MIXED} mixed queries, worst`, ms(Math.max(...mixed)), '<= 200 ms');
    const stats = await runFor(1000, 1, () => client.stats());
    report('Stats, median', ms(percentile(stats.latenciesMs, 50)), '<= 2 ms');
    await measureTotals(client);
    const half = new Date(FIRST_DAY + 5 * DAY_MS);
    report(
      'Cleanup dry run of half',
      ms(await timed(() => client.cleanup({ olderThan: half, dryRun: true }))),
      '<= 2 s',
    );
    const keepCount = Math.floor(images / 2);
    report('the same by count', ms(await timed(() => client.cleanup({ keepCount, dryRun: true }))), '<= 2 s');
  }
  client.close();
}

async function measureTotals(client: ImageStorageClient): Promise<void> {
  const counts: [string, TotalsOptions][] = [
    ['by day in Berlin', { by: 'day', timeZone: 'Europe/Berlin' }],
    ['of a tag that begins so', { by: 'tag', startsWith: 'fo' }],
    ['of a word of one prompt in a thousand, by month', { query: RARE_WORD, by: 'month' }],
    ['of a word of every second prompt, by month', { query: BROAD_WORD, by: 'month' }],
  ];
  for (const [what, options] of counts) {
    const { latenciesMs } = await runFor(1000, 1, () => client.totals(options));
    const { count = 0, more = false } = (await client.totals(options)) ?? {};
    const some = more ? `, of the ${count} newest` : '';
    report(`Stats ${what}, median${some}`, ms(percentile(latenciesMs, 50)), '<= 100 ms');
  }
}

function daysFrom(day: number, count: number): { start: Date; end: Date } {
  return { start: new Date(FIRST_DAY + day * DAY_MS), end: new Date(FIRST_DAY + (day + count) * DAY_MS) };
}

async function measureLists({ address }: Daemon): Promise<void> {
  const lister = startChild('./lister.ts');
  const load: ListLoad = { address, limit: Math.min(LISTED, images), callers: 1, durationMs: 0 };
  await ask<ListRound>(lister, load);
  const alone = await ask<ListRound>(lister, load);
  report('images listed, by our client in Node', `${alone.perSecond.toFixed(0)}/s`, '>= 40000/s with a client in Go');
  report('first batch of it', ms(alone.firstMs), '<= 20 ms');
  const heavy = ask<ListRound>(lister, { ...load, callers: CALLERS, durationMs: 6_000 });
  const client = connect(address);
  await sleep(1_000);
  const beside: [string, () => Promise<unknown>][] = [
    ['Stats', () => client.stats()],
    ['a List of 20', () => countListed(client, { limit: 20 })],
  ];
  for (const [name, work] of beside) {
    const { latenciesMs } = await runFor(2_000, 1, work);
    report(`${name} beside ${CALLERS} full lists, median`, ms(percentile(latenciesMs, 50)), '<= 20 ms');
    report(`${name} beside ${CALLERS} full lists, p99`, ms(percentile(latenciesMs, 99)), '<= 100 ms');
  }
  report(`images listed to all ${CALLERS}`, `${(await heavy).perSecond.toFixed(0)}/s`, '');
  client.close();
  lister.disconnect();
}

async function countListed(client: ImageStorageClient, options: ListOptions): Promise<number> {
  let count = 0;
  for await (const _ of client.list(options)) count += 1;
  return count;
}

function report(what: string, value: string, aim: string): void {
  console.log(`  ${what.padEnd(58)}${value.padStart(12)}   ${aim}`);
}
