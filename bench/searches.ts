/**
 * `node bench/searches.ts [--images N] [--seconds N]`: measures what callers of expensive searches do to the Stats and
 * Saves of another client.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connect, type ImageStorageClient } from '../src/client.ts';
import { pngOf } from '../test/support/images.ts';
import { promptOf } from '../test/support/many-images.ts';
import { openStoreOf } from './catalog.ts';
import { percentile, runFor } from './rounds.ts';

const CALLERS = 8;
const QUERY_BYTES = 4096;
const SYMBOLS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const SYLLABLES = 'ba ce di fo gu ka le mi no pu ra se ti vo zu'.split(' ');

const { values } = parseArgs({
  options: { images: { type: 'string', default: '20000' }, seconds: { type: 'string', default: '10' } },
});
/** So large that the write-ahead log grows as a workflow makes it grow. */
const PARAMETERS = JSON.stringify({ workflow: 'x'.repeat(20_000) });
const durationMs = Number(values.seconds) * 1000;

/** What each caller asks, call by call. */
const SEARCHES: Record<string, (call: number) => string | undefined> = {
  nobody: () => undefined,
  'one letter after the other': (call) => SYMBOLS[call % SYMBOLS.length],
  'all letters': () => [...SYMBOLS].join(' '),
  '4 kB of syllables': (call) =>
    upTo(QUERY_BYTES, (at) => SYLLABLES[(at + call) % SYLLABLES.length]! + SYMBOLS[at % 36]),
  '4 kB of words': (call) => upTo(QUERY_BYTES, (at) => promptOf(call * 100 + at).split(' ')[0]!),
  'two frequent words': (call) => `${SYLLABLES[call % 15]} ${SYLLABLES[(call + 1) % 15]} ${SYLLABLES[(call + 2) % 15]}`,
};

const folder = await mkdtemp(join(tmpdir(), 'image-storage-searches-'));
const store = await openStoreOf(Number(values.images), folder);
try {
  console.log(`${values.images} images; ${CALLERS} callers search, another client asks for Stats and saves\n`);
  console.log('  searched for                  searches/s  stats p50   p99    max   save p50    p99    max  find p99');
  for (const [name, queryOf] of Object.entries(SEARCHES)) await measure(name, queryOf);
} finally {
  await store.close();
  await rm(folder, { recursive: true, force: true });
}

async function measure(name: string, queryOf: (call: number) => string | undefined): Promise<void> {
  const callers = Array.from({ length: CALLERS }, () => connect(store.daemon.address));
  let calls = 0;
  const search = async (client: ImageStorageClient) => {
    const query = queryOf(calls++);
    if (query === undefined) return new Promise((resolve) => setTimeout(resolve, durationMs));
    for await (const _ of client.list({ query, limit: 100 }));
  };
  const image = pngOf({ width: 64, height: 64, sizeBytes: 100_000 });
  const save = () =>
    store.client.save(image, { prompt: promptOf(calls), model: 'flux-schnell', parametersJson: PARAMETERS });
  const find = async () => {
    for await (const _ of store.client.list({ query: 'narwhal', limit: 10 }));
  };
  const [searches, stats, saves, finds] = await Promise.all([
    Promise.all(callers.map((client) => runFor(durationMs, 1, () => search(client)))),
    runFor(durationMs, 1, () => store.client.stats()),
    runFor(durationMs, 4, save),
    runFor(durationMs, 1, find),
  ]);
  for (const client of callers) client.close();
  const perSecond = searches.reduce((sum, { count, seconds }) => sum + count / seconds, 0);
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
