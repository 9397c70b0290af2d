/**
 * `npm run bench:million-postgres [-- --images N]`: fills an index in Postgres with a million images, over a year and in one
 * month, measures in the catalog itself how it lists, searches and counts, and compares that with the aims. It takes half
 * an hour, and 8 GB for a while. As an ordinary user: Postgres starts for no other.
 */
import { parseArgs } from 'node:util';
import type { CatalogQuery } from '../src/storage/catalog/catalog.ts';
import { openSharedIndex, type SharedIndex } from '../src/storage/catalog/postgres/shared-index.ts';
import { imageFilename, imageKey, modelSlug } from '../src/storage/domain/naming.ts';
import type { ImageRecord } from '../src/storage/domain/record.ts';
import { BROAD_WORD, RARE_WORD, recordOf } from '../test/support/many-images.ts';
import { ask, type PostgresServer, startPostgres } from '../test/support/postgres.ts';
import { mixedQuery, pairOf } from './queries.ts';
import { percentile } from './rounds.ts';

const PAGE = 100;
const QUERIES = 200;
const TIMES = 20;
const GROUP = 500;
const TIDY_EVERY = 20_000;
const YEAR = Date.UTC(2025, 0, 1);
const DAY_MS = 24 * 60 * 60 * 1000;
/** What a server with memory for its indexes has. */
const SETTINGS = ['shared_buffers=1GB', 'autovacuum=on', 'max_wal_size=4GB'];

const { values } = parseArgs({ options: { images: { type: 'string', default: '1000000' } } });
const images = Number(values.images);

const server = await startPostgres(SETTINGS);
try {
  await measure(server, 'over 12 months', 365);
  await measure(server, 'in one month', 31);
} finally {
  await server.stop();
}

async function measure({ createDatabase }: PostgresServer, name: string, days: number): Promise<void> {
  console.log(`${images} images ${name}\n`);
  const url = await createDatabase();
  const index = await openSharedIndex({ url, storeId: name, now: Date.now });
  const begun = performance.now();
  await fill(index, days);
  report('filled', `${Math.round((images / (performance.now() - begun)) * 1000)}/s`, '');
  // As the server does by itself, some time later.
  await ask(url, 'VACUUM ANALYZE');
  const [size] = await ask(url, 'SELECT pg_database_size(current_database()) AS bytes');
  report('an image in Postgres', `${Math.round(Number(size!.bytes) / images)} bytes`, '');
  await measureQueries(index);
  await index.end();
  console.log('');
}

async function fill(index: SharedIndex, days: number): Promise<void> {
  for (let number = 0; number < images; number += GROUP) {
    const group = Array.from({ length: Math.min(GROUP, images - number) }, (_, at) => recordAt(number + at, days));
    await index.applyAll(
      group.map((record) => ({
        kind: 'found',
        filename: record.filename,
        found: { kind: 'live', etag: record.filename, record },
      })),
    );
    if (number % TIDY_EVERY === 0) await index.tidy();
  }
  await index.tidy();
  await index.applyAll([{ kind: 'filled', comparedAt: Date.now() }]);
}

/** In the order of time, as they are made. */
function recordAt(number: number, days: number): ImageRecord {
  const record = recordOf(number);
  const timestamp = YEAR + Math.floor((number / images) * days * DAY_MS);
  const filename = imageFilename(timestamp, modelSlug(record.model), number.toString(36).padStart(6, '0'), 'png');
  return { ...record, filename, key: imageKey(filename), timestamp, createTime: timestamp };
}

async function measureQueries(index: SharedIndex): Promise<void> {
  const page = (query: string, rest: Partial<CatalogQuery> = {}) =>
    timed(() => index.page({ order: 'newest', query, ...rest }, { limit: PAGE, maxBytes: 1 << 22 }));
  await page('');
  const times = async (work: () => Promise<number>) => {
    const all: number[] = [];
    for (let time = 0; time < TIMES; time += 1) all.push(await work());
    return `${ms(percentile(all, 50))}, ${ms(Math.max(...all))}`;
  };
  report('first batch of 100: median, worst', await times(() => page('')), '<= 20 ms');
  report('oldest first', await times(() => page('', { order: 'oldest' })), '<= 20 ms');
  report('a word of every second prompt', await times(() => page(BROAD_WORD)), '<= 50 ms');
  report('a word of one prompt in a thousand', await times(() => page(RARE_WORD)), '');
  const random: [query: string, ms: number][] = [];
  for (let number = 0; number < QUERIES; number += 1) {
    for (const query of [mixedQuery(number, images), pairOf(number, images)]) random.push([query, await page(query)]);
  }
  random.sort(([, a], [, b]) => b - a);
  const sorted = random.map(([, took]) => took);
  report(
    `${2 * QUERIES} random queries: median, worst`,
    `${ms(percentile(sorted, 50))}, ${ms(sorted[0]!)}`,
    '<= 300 ms',
  );
  for (const [query, took] of random.slice(0, 5)) report(`  ${query}`, ms(took), '');
  report('Stats: median, worst', await times(() => timed(() => index.statistics())), '<= 10 ms');
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function report(what: string, value: string, aim: string): void {
  console.log(`  ${what.padEnd(58)}${value.padStart(20)}   ${aim}`);
}
