/** Writes what follows for large fleets, as the tables of docs/scaling.md; what it assumes comes first. */
import { CONNECTIONS_OF_A_DAEMON } from '../src/storage/catalog/postgres/pool.ts';
import {
  costOf,
  type IndexCosts,
  type Prices,
  prefixLoad,
  type Requests,
  randomFrom,
  simulateIndex,
  zipfShares,
} from './scaling-model.ts';

const SEED = 21;

/** Of a fleet, by `bench/index-cost.ts`: a get reads the record, then the bytes. */
const PER_SAVE: Requests = { put: 2, get: 0, list: 0, delete: 0 };
const PER_GET: Requests = { put: 0, get: 2, list: 0, delete: 0 };

const IMAGE_BYTES = 1_500_000;
const RECORD_BYTES = 1_200;
const GETS_PER_SAVE = 3;
const MODELS = 20;
const RECORDS_PER_LIST = 1_000;

/**
 * Of the server's processor, by `bench/index-cost.ts`: for a transaction, and for each of its rows, which takes 0.43 in a
 * slice of 20,000 rows and 0.77 in one of 100,000, after which the next slice begins.
 */
const INDEX_CPU_MS: readonly [number, number] = [2, 0.6];
/** The same of a row while an index is filled, when words are collected. */
const FILL_CPU_MS = 0.15;
const ROUND_TRIP_MS = 0.5;
const SYNC_MS = 1;
const ROW_BEFORE_MS = 0.05;
/** Two questions come before the row that all share, four and the commit after it. */
const INDEX: IndexCosts = {
  before: [INDEX_CPU_MS[0] / 2 + 2 * ROUND_TRIP_MS, ROW_BEFORE_MS],
  held: [INDEX_CPU_MS[0] / 2 + 4 * ROUND_TRIP_MS + SYNC_MS, INDEX_CPU_MS[1] - ROW_BEFORE_MS],
};
/** Of a row and of what leads to it, by `bench/index-cost.ts`; prompts of 20 to 60 words. */
const ROW_BYTES = { table: 2_800, indexes: 1_100 };
const IMAGES_PER_SLICE = 100_000;
/** With its own parts: the table, what is out of line with its index, and six indexes. */
const RELATIONS_PER_SLICE = 9;
const PATIENCE_MS = 500;

/** By `npm run bench:s3` over an index in Postgres, of one process: for a save, and for each MB of it. */
const CPU_MS_PER_SAVE: readonly [number, number] = [5.7, 5.2];
const BUSY = 0.6;

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html */
const PUTS_PER_PREFIX = 3_500;

/** https://aws.amazon.com/s3/pricing/ (Standard, us-east-1), https://developers.cloudflare.com/r2/pricing/ */
const PRICES: Record<'S3' | 'R2', Prices> = {
  S3: { perMillionPuts: 5, perMillionGets: 0.4, perMillionLists: 5, perGbMonth: 0.023, perGbOut: 0.09 },
  R2: { perMillionPuts: 4.5, perMillionGets: 0.36, perMillionLists: 4.5, perGbMonth: 0.015, perGbOut: 0 },
};

const SAVES = [10, 100, 500, 1_000, 2_000, 10_000];
const IMAGES = [1e6, 1e7, 1e8, 1e9];
const SECONDS_A_MONTH = 30 * 86_400;
const FULL_SYNC_MINUTES = 15;
const LIST_MS = 100;
const GET_MS = 30;
const GETS_AT_ONCE = 16;

/** Returns the rows of each table, in Markdown, by its place in docs/scaling.md. */
export function writeScaling(): Record<string, string[]> {
  return {
    assumptions: assumptions(),
    bucket: ofBucket(),
    index: ofIndex(),
    stores: ofStores(),
    costs: ofMoney(),
    sizes: ofSizes(),
  };
}

function assumptions(): string[] {
  return table(
    ['assumed', 'value', 'from'],
    [
      ['requests of a save', `${PER_SAVE.put} PUT`, 'measured'],
      ['requests of a get', `${PER_GET.get} GET`, 'measured'],
      ['an image, its record', `${IMAGE_BYTES / 1e6} MB, ${RECORD_BYTES / 1e3} kB`, 'chosen'],
      ["a save, of a daemon's processor", `${CPU_MS_PER_SAVE[0]} ms, and ${CPU_MS_PER_SAVE[1]} a MB`, 'measured'],
      ['a daemon', `one core, ${BUSY * 100} % busy: ${savesOfDaemon().toFixed(0)} saves/s`, 'of these'],
      ["a transaction of the index, of Postgres' processor", milliseconds(INDEX_CPU_MS), 'measured'],
      ['a round trip to Postgres, a sync of its log', `${ROUND_TRIP_MS} ms, ${SYNC_MS} ms`, 'chosen'],
      ['of these, before it has the row that all share', milliseconds(INDEX.before), 'estimated'],
      ['of these, while others wait for that row', milliseconds(INDEX.held), 'estimated'],
      ['a row of an index that is being filled', `${FILL_CPU_MS} ms`, 'measured'],
      [
        'a row of the index, on the disk',
        `${bytes(ROW_BYTES.table)} in tables, ${bytes(ROW_BYTES.indexes)} in indexes`,
        'measured',
      ],
      [
        'a LIST of a thousand records, a GET',
        `${LIST_MS} ms, ${GET_MS} ms, of which ${GETS_AT_ONCE} at once`,
        'chosen',
      ],
      ['gets of each image', `${GETS_PER_SAVE}`, 'chosen'],
      ['models', `${MODELS}, the second half as often as the first, the third a third, …`, 'chosen'],
      ['writes that a prefix of S3 takes', `${number(PUTS_PER_PREFIX)}/s`, 'AWS'],
    ],
  );
}

function ofBucket(): string[] {
  const random = randomFrom(SEED);
  return table(
    [
      'saves/s',
      'daemons',
      'PUT/s',
      'GET/s',
      'busiest prefix of 20 models, PUT/s',
      'prefixes over the limit',
      'of one model',
    ],
    SAVES.map((savesPerSecond) => {
      const load = { savesPerSecond, seconds: 60, limit: PUTS_PER_PREFIX };
      const { busiestPuts, overLimit } = prefixLoad({ ...load, models: MODELS }, random);
      const single = prefixLoad({ ...load, models: 1 }, random);
      return [
        number(savesPerSecond),
        number(daemonsFor(savesPerSecond)),
        number(savesPerSecond * PER_SAVE.put),
        number(savesPerSecond * GETS_PER_SAVE * PER_GET.get),
        number(busiestPuts),
        `${overLimit} of ${MODELS}`,
        single.overLimit > 0 ? 'over' : 'within',
      ];
    }),
  );
}

function ofIndex(): string[] {
  const random = randomFrom(SEED);
  return table(
    [
      'saves/s',
      'daemons',
      'connections',
      'rows a transaction',
      'busy',
      'p50',
      'p99',
      'rows later than 500 ms',
      'rows that it takes',
    ],
    SAVES.map((rowsPerSecond) => {
      const daemons = daemonsFor(rowsPerSecond);
      const load = { daemons, rowsPerSecond, seconds: 20, patienceMs: PATIENCE_MS };
      const { rowsPerTransaction, p50Ms, p99Ms, lateShare, busyShare, writtenShare } = simulateIndex(
        load,
        INDEX,
        random,
      );
      return [
        number(rowsPerSecond),
        number(daemons),
        number(daemons * CONNECTIONS_OF_A_DAEMON),
        rowsPerTransaction.toFixed(1),
        percent(busyShare),
        `${p50Ms.toFixed(0)} ms`,
        `${p99Ms.toFixed(0)} ms`,
        percent(lateShare),
        percent(writtenShare),
      ];
    }),
  );
}

/** Doubles and halves until the p99 is at what a save waits for. */
function rowsOfIndex(): number {
  let [fits, tooMany] = [10, 20_000];
  while (tooMany - fits > 50) {
    const rowsPerSecond = Math.round((fits + tooMany) / 2);
    const load = { daemons: daemonsFor(rowsPerSecond), rowsPerSecond, seconds: 10, patienceMs: PATIENCE_MS };
    if (simulateIndex(load, INDEX, randomFrom(SEED)).p99Ms <= PATIENCE_MS) fits = rowsPerSecond;
    else tooMany = rowsPerSecond;
  }
  return Math.floor(fits / 100) * 100;
}

function ofStores(): string[] {
  const rows = rowsOfIndex();
  const [busiest] = zipfShares(MODELS) as [number];
  return table(
    ['at most', 'saves/s', 'bound by'],
    [
      ['one index, rows within 500 ms at the p99', number(rows), 'the row that all share'],
      ['one store on S3, one model, or the first hour of a day', number(PUTS_PER_PREFIX), 'its prefix'],
      [
        `one store on S3, ${MODELS} models, once S3 has split the day`,
        number(Math.floor(PUTS_PER_PREFIX / busiest / 100) * 100),
        'the busiest prefix',
      ],
      ['stores for 10,000 saves/s', `${Math.ceil(10_000 / rows)} stores`, 'the index'],
    ],
  );
}

function ofMoney(): string[] {
  const million = 1e6;
  const gb = (million * (IMAGE_BYTES + RECORD_BYTES)) / 1e9;
  const compared = (million / RECORDS_PER_LIST) * (SECONDS_A_MONTH / 60 / FULL_SYNC_MINUTES);
  const rows: [string, (prices: Prices) => number][] = [
    ['saving them', (prices) => costOf(times(PER_SAVE, million), prices)],
    ['getting each three times', (prices) => costOf(times(PER_GET, million * GETS_PER_SAVE), prices)],
    ['the same to the Internet, its traffic', ({ perGbOut }) => gb * GETS_PER_SAVE * perGbOut],
    ['keeping them, a month', ({ perGbMonth }) => gb * perGbMonth],
    [`comparing all every ${FULL_SYNC_MINUTES} minutes, a month`, (prices) => costOf({ list: compared }, prices)],
    ['comparing all once a day, a month', (prices) => costOf({ list: (million / RECORDS_PER_LIST) * 30 }, prices)],
    [
      'filling a lost index, a GET each',
      (prices) => costOf({ get: million, list: million / RECORDS_PER_LIST }, prices),
    ],
  ];
  return table(
    ['a million images', 'S3', 'R2'],
    rows.map(([what, cost]) => [what, dollars(cost(PRICES.S3)), dollars(cost(PRICES.R2))]),
  );
}

function ofSizes(): string[] {
  return table(
    [
      'images',
      'tables',
      'their indexes',
      'slices',
      'tables and indexes, number',
      'bucket',
      'comparing all',
      'reading each by a GET',
      'writing its rows',
    ],
    IMAGES.map((images) => [
      number(images),
      bytes(images * ROW_BYTES.table),
      bytes(images * ROW_BYTES.indexes),
      number(images / IMAGES_PER_SLICE),
      number((images / IMAGES_PER_SLICE) * RELATIONS_PER_SLICE),
      bytes(images * (IMAGE_BYTES + RECORD_BYTES)),
      duration((images / RECORDS_PER_LIST) * (LIST_MS / 1000)),
      duration((images * GET_MS) / 1000 / GETS_AT_ONCE),
      duration((images * FILL_CPU_MS) / 1000),
    ]),
  );
}

function savesOfDaemon(): number {
  const [fixed, perMb] = CPU_MS_PER_SAVE;
  return (1000 / (fixed + (perMb * IMAGE_BYTES) / 1e6)) * BUSY;
}

function daemonsFor(savesPerSecond: number): number {
  return Math.max(3, Math.ceil(savesPerSecond / savesOfDaemon()));
}

function times({ put, get, list }: Requests, count: number): Partial<Requests> {
  return { put: put * count, get: get * count, list: list * count };
}

function table(head: string[], rows: string[][]): string[] {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

function number(value: number): string {
  return value.toLocaleString('en');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0 && share < 0.01 ? 1 : 0)} %`;
}

function milliseconds([fixed, perRow]: readonly [number, number]): string {
  return `${fixed} ms, and ${Number(perRow.toFixed(2))} a row`;
}

function dollars(value: number): string {
  return value === 0 ? 'free' : `$${value.toFixed(value < 1 ? 2 : value < 10 ? 1 : 0)}`;
}

function bytes(value: number): string {
  const units = ['kB', 'MB', 'GB', 'TB', 'PB'];
  const at = Math.min(units.length - 1, Math.floor(Math.log10(value) / 3) - 1);
  const scaled = value / 1000 ** (at + 1);
  return `${scaled.toFixed(scaled < 10 ? 1 : 0)} ${units[at]}`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
  return seconds < 2 * 86_400 ? `${(seconds / 3600).toFixed(0)} h` : `${(seconds / 86_400).toFixed(0)} days`;
}
