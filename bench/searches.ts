/**
 * `node bench/searches.ts [--images N] [--seconds N]`: measures what callers of expensive searches do to the Stats and
 * Saves of another client.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pngOf } from '../test/support/images.ts';
import { promptOf } from '../test/support/many-images.ts';
import { openStoreOf } from './catalog.ts';
import { ask, startChild } from './child.ts';
import { percentile, type Round, runFor } from './rounds.ts';
import type { SearchLoad } from './searcher.ts';

const CALLERS = 8;
const QUERY_BYTES = 4096;
const SYMBOLS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const SYLLABLES = 'ba ce di fo gu ka le mi no pu ra se ti vo zu'.split(' ');

const { values } = parseArgs({
  options: { images: { type: 'string', default: '20000' }, seconds: { type: 'string', default: '10' } },
});
const durationMs = Number(values.seconds) * 1000;

/** What the callers ask, in turns. */
const SEARCHES: Record<string, string[]> = {
  nothing: [],
  'one letter after the other': [...SYMBOLS],
  'all letters': [[...SYMBOLS].join(' ')],
  '4 kB of syllables': SYLLABLES.map((_, call) =>
    upTo(QUERY_BYTES, (at) => SYLLABLES[(at + call) % 15]! + SYMBOLS[at % 36]),
  ),
  '4 kB of words': SYLLABLES.map((_, call) => upTo(QUERY_BYTES, (at) => promptOf(call * 1000 + at).split(' ')[0]!)),
  'three frequent words': SYLLABLES.map(
    (word, at) => `${word} ${SYLLABLES[(at + 1) % 15]} ${SYLLABLES[(at + 2) % 15]}`,
  ),
};

const folder = await mkdtemp(join(tmpdir(), 'image-storage-searches-'));
const store = await openStoreOf(Number(values.images), folder);
try {
  console.log(`${values.images} images; ${CALLERS} callers search, another client asks for Stats and saves\n`);
  console.log('  searched for                  searches/s  stats p50   p99    max   save p50    p99    max  find p99');
  for (const [name, queries] of Object.entries(SEARCHES)) await measure(name, queries);
} finally {
  await store.close();
  await rm(folder, { recursive: true, force: true });
}

async function measure(name: string, queries: string[]): Promise<void> {
  const searcher = startChild('./searcher.ts');
  const load: SearchLoad = { address: store.daemon.address, callers: CALLERS, queries, durationMs };
  let saved = 0;
  const image = pngOf({ width: 64, height: 64, sizeBytes: 100_000 });
  const save = () => store.client.save(image, { prompt: promptOf(saved++), model: 'flux-schnell' });
  const find = async () => {
    for await (const _ of store.client.list({ query: 'narwhal', limit: 10 }));
  };
  const [searches, stats, saves, finds] = await Promise.all([
    queries.length > 0 ? ask<Round>(searcher, load) : undefined,
    runFor(durationMs, 1, () => store.client.stats()),
    runFor(durationMs, 4, save),
    runFor(durationMs, 1, find),
  ]);
  searcher.disconnect();
  const perSecond = searches === undefined ? 0 : searches.count / searches.seconds;
  const cells = [stats, saves].flatMap(({ latenciesMs }) => [50, 99, 100].map((p) => percentile(latenciesMs, p)));
  const row = [perSecond, ...cells, percentile(finds.latenciesMs, 99)].map((value) => value.toFixed(0).padStart(8));
  console.log(`  ${name.padEnd(30)}${row.join('')}`);
}

function upTo(bytes: number, wordAt: (at: number) => string): string {
  let query = wordAt(0);
  for (let at = 1; ; at += 1) {
    const next = `${query} ${wordAt(at)}`;
    if (next.length > bytes) return query;
    query = next;
  }
}
