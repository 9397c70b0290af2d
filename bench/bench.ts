/**
 * `npm run bench [-- --quick] [-- --dir FOLDER]`: measures saves, lists, starts and searches, and compares them with
 * the aims.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type CatalogTimes, measureCatalogs, type OpenedStore, openStoreOf } from './catalog.ts';
import { type MixedResult, measureMixed } from './mixed.ts';
import { CASES, measureSaves, QUICK_CASES, type SaveResult } from './saves.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean' }, dir: { type: 'string', default: tmpdir() } } });
const plan = values.quick
  ? { cases: QUICK_CASES, rounds: 2, roundMs: 500, images: [1_000, 10_000], calls: 10, mixedMs: 2_000 }
  : { cases: CASES, rounds: 5, roundMs: 1_000, images: [1_000, 100_000], calls: 40, mixedMs: 8_000 };

const folder = await mkdtemp(join(values.dir, 'image-storage-bench-'));
try {
  const saves = await benchSaves();
  const aims = [...saves, ...(await benchCatalog())];
  console.log('\nratios and aims');
  for (const [what, value, aim] of aims) row(what.padEnd(46), value, aim);
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** The measure, its value, its aim. */
type Aim = [string, string, string];

async function benchSaves(): Promise<Aim[]> {
  console.log(
    'saves: one client over one connection; the floor is a process that does the same writes, hashes and fsyncs\n',
  );
  const columns = ['images/s', 'MB/s', 'p50 ms', 'p99 ms', 'floor/s', 'ratio', 'client CPU'];
  row(''.padEnd(12), ...columns);
  const report = (name: string, result: SaveResult) => row(name.padEnd(12), ...cellsOf(result));
  const results = await measureSaves(plan.cases, { folder, rounds: plan.rounds, roundMs: plan.roundMs }, report);
  const aim = (name: string, wanted: number): Aim => [
    `save ${name}, of the floor`,
    results.get(name)!.ratio.toFixed(2),
    `>= ${wanted}`,
  ];
  return [aim('8 MiB × 4', 0.2), aim('100 kB × 32', 0.35)];
}

function cellsOf(result: SaveResult): string[] {
  const { imagesPerSecond, megabytesPerSecond, p50Ms, p99Ms, floorPerSecond, ratio, clientShare } = result;
  const numbers = [imagesPerSecond, megabytesPerSecond, p50Ms, p99Ms, floorPerSecond].map((value) => value.toFixed(1));
  return [...numbers, ratio.toFixed(2), `${(clientShare * 100).toFixed(0)} %`];
}

async function benchCatalog(): Promise<Aim[]> {
  console.log('\ncatalog');
  row(''.padEnd(12), 'rebuild s', 'start s', 'stats ms', '100 ms', 'listed/s');
  const stores: OpenedStore[] = [];
  try {
    for (const images of plan.images) stores.push(await openStoreOf(images, folder));
    const times = await measureCatalogs(stores, plan.calls);
    for (const [at, store] of stores.entries())
      row(`${store.images} images`.padEnd(12), ...storeCells(store, times[at]!));
    const large = stores.at(-1)!;
    const mixed = await measureMixed(large, plan.mixedMs);
    reportMixed(mixed);
    return [
      [
        `stats of ${large.images}, of ${stores[0]!.images}`,
        (times.at(-1)!.statsMs / times[0]!.statsMs).toFixed(2),
        '<= 2',
      ],
      [`start with ${large.images} after a clean stop`, `${large.startSeconds.toFixed(1)} s`, '<= 2 s'],
      [
        `rebuild of ${large.images}, told ${large.progressLines} times`,
        `${large.rebuildSeconds.toFixed(1)} s`,
        '<= 20 s',
      ],
      ['event-loop delay p99, mixed', `${mixed.delay.p99.toFixed(1)} ms`, '<= 20 ms'],
      ['the same in an idle process', `${mixed.idleDelay.p99.toFixed(1)} ms`, ''],
    ];
  } finally {
    for (const store of stores) await store.close();
  }
}

function storeCells({ rebuildSeconds, startSeconds }: OpenedStore, times: CatalogTimes): string[] {
  const seconds = [rebuildSeconds, startSeconds].map((value) => value.toFixed(2));
  return [...seconds, times.statsMs.toFixed(2), times.pageMs.toFixed(2), times.listedPerSecond.toFixed(0)];
}

function reportMixed({ delay, savesPerSecond, broadP99Ms, rareP99Ms, statsP99Ms }: MixedResult): void {
  console.log('\nmixed: saves of 100 kB × 16 and 8 MiB × 2, a broad and a rare search, stats');
  row(''.padEnd(12), 'delay p50', 'p99', 'max ms', 'saves/s', 'broad p99', 'rare p99', 'stats p99');
  const cells = [delay.p50, delay.p99, delay.max, savesPerSecond, broadP99Ms, rareP99Ms, statsP99Ms];
  row(''.padEnd(12), ...cells.map((value) => value.toFixed(1)));
}

function row(name: string, ...cells: string[]): void {
  console.log(`  ${name}${cells.map((cell) => cell.padStart(11)).join('')}`);
}
