/**
 * `npm run bench:million-postgres [-- --images N]`: fills an index in Postgres with a million images, over a year and in one
 * month, measures in the catalog itself how it lists, searches and counts, and compares that with the aims. It takes some
 * minutes, and 5 GB for a while. As an ordinary user: Postgres starts for no other.
 */
import { parseArgs } from 'node:util';
import type { CatalogQuery } from '../src/storage/catalog/catalog.ts';
import { sliceTable } from '../src/storage/catalog/postgres/migrations/001-initial.ts';
import { schemaOf } from '../src/storage/catalog/postgres/pool.ts';
import { openSharedIndex, type SharedIndex } from '../src/storage/catalog/postgres/shared-index.ts';
import { MAX_IMAGES } from '../src/storage/catalog/postgres/slices.ts';
import { imageFilename, imageKey, modelSlug } from '../src/storage/domain/naming.ts';
import type { ImageRecord } from '../src/storage/domain/record.ts';
import { BROAD_WORD, RARE_WORD, recordOf } from '../test/support/many-images.ts';
import { ask, type PostgresServer, startPostgres } from '../test/support/postgres.ts';
import { mixedQuery, pairOf } from './queries.ts';
import { ms, percentile, timed } from './rounds.ts';

const PAGE = 100;
const QUERIES = 200;
const TIMES = 20;
const GROUP = 500;
/** Different ones. */
const SOURCES = 50_000;
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
  await fill(url, name, days);
  // As the server does by itself, some time later.
  await ask(url, 'VACUUM ANALYZE');
  const [size] = await ask(url, 'SELECT pg_database_size(current_database()) AS bytes');
  report('an image in Postgres', `${Math.round(Number(size!.bytes) / images)} bytes`, '');
  const index = await openSharedIndex({ url, storeId: name, now: Date.now });
  const { count } = await index.statistics();
  report('images by Stats', `${count}`, `${images}`);
  await measureQueries(index);
  await index.end();
  console.log('');
}

/** Through the catalog as far as SOURCES go; the server copies these to other times, which takes it a tenth of the time. */
async function fill(url: string, storeId: string, days: number): Promise<void> {
  const index = await openSharedIndex({ url, storeId, now: Date.now });
  const sources = Math.min(SOURCES, images);
  for (let number = 0; number < sources; number += GROUP) {
    const group = Array.from({ length: Math.min(GROUP, sources - number) }, (_, at) => recordAt(number + at));
    await index.applyAll(
      group.map((record) => ({
        kind: 'found',
        filename: record.filename,
        found: { kind: 'live', etag: record.filename, record },
      })),
    );
  }
  while ((await ask(url, `SELECT 1 FROM ${schemaOf(storeId)}.sum_deltas LIMIT 1`)).length > 0) await index.tidy();
  await index.applyAll([{ kind: 'filled', comparedAt: Date.now() }]);
  await index.end();
  await multiply(url, schemaOf(storeId), sources, days);
}

/** In slices as they grow: of a month, and of 100,000 images. */
async function multiply(url: string, schema: string, sources: number, days: number): Promise<void> {
  const settings = `SET search_path TO ${schema}; SET maintenance_work_mem = '512MB';`;
  const slices = Math.max(Math.ceil(images / MAX_IMAGES), Math.round(days / 30.5));
  const each = Math.ceil(images / slices);
  const copies = Math.ceil(each / sources);
  const width = Math.floor((days * DAY_MS) / slices);
  const columns = 'timestamp, filename';
  for (let number = 0; number < slices; number += 1) {
    const from = YEAR + number * width;
    const table = `copied_${number}`;
    const [created, ...indexes] = sliceTable(table).split(/;\n/);
    const [{ rest }] = (await ask(
      url,
      `${settings} SELECT string_agg(column_name, ', ') AS rest FROM information_schema.columns
       WHERE table_schema = '${schema}' AND table_name = 'slice_1' AND column_name NOT IN ('timestamp', 'filename')`,
    )) as [{ rest: string }];
    const copy = `
      INSERT INTO ${table} (${columns}, ${rest})
      SELECT ${from} + (timestamp - ${YEAR}) * ${width} / ${sources} + copy * ${width} / ${sources * copies},
        copy || '_' || filename, ${rest} FROM slice_1, generate_series(0, ${copies - 1}) AS copy ORDER BY 1 LIMIT ${each}`;
    await ask(url, `${settings} ${created}; ${copy}; ${indexes.join(';')}`);
  }
  const taken = Array.from({ length: slices }, (_, number) => {
    const from = YEAR + number * width;
    return `ALTER TABLE copied_${number} RENAME TO slice_${number + 2};
      INSERT INTO slices VALUES (${number + 2}, ${from}, ${from + width});`;
  });
  const factor = Math.round((slices * each) / sources);
  await ask(
    url,
    `${settings} DROP TABLE slice_1; DELETE FROM slices; ${taken.join('')}
     UPDATE sums SET count = count * ${factor}, bytes = bytes * ${factor};
     INSERT INTO sums SELECT 'date', (timestamp 'epoch' + (${YEAR / 1000} + day * 86400) * interval '1 second')::date::text,
       total.count / ${days}, total.bytes / ${days} FROM sums AS total, generate_series(0, ${days - 1}) AS day
       WHERE total.kind = 'total' ON CONFLICT DO NOTHING`,
  );
}

/** One in each millisecond. */
function recordAt(number: number): ImageRecord {
  const record = recordOf(number);
  const timestamp = YEAR + number;
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

function report(what: string, value: string, aim: string): void {
  console.log(`  ${what.padEnd(58)}${value.padStart(20)}   ${aim}`);
}
