/**
 * `npm run bench:filling [-- --images N] [-- --postgres] [-- --latency MS]`: fills the catalog of a bucket from snapshots
 * and by a request for each record, in turns on one server: listing and index included, each time in a new process with an
 * empty index.
 */
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { inParallel } from '../src/storage/async/parallel.ts';
import { payloadOf } from '../src/storage/bucket/record-object.ts';
import { recordKey } from '../src/storage/domain/naming.ts';
import { formatRecord } from '../src/storage/domain/record-file.ts';
import { s3Objects } from '../src/storage/s3/objects.ts';
import { promptOf, recordOf } from '../test/support/many-images.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { startVersitygw } from '../test/support/versitygw.ts';
import { ask, startChild } from './child.ts';
import type { Filled, FillLoad } from './filler.ts';
import { byTurns, median } from './rounds.ts';

/** One image in so many has a workflow, of so many nodes. */
const WITH_WORKFLOW = 4;
const NODES = 20;

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '3' },
    postgres: { type: 'boolean', default: false },
    latency: { type: 'string', default: '0' },
  },
});
const images = Number(values.images);
const latencyMs = Number(values.latency);

/** `serverSeconds`: of the processor, used by the servers of objects and of the index. */
type Round = Filled & { serverSeconds: number };

const folder = await mkdtemp(join(tmpdir(), 'image-storage-bench-'));
// Before the other server: a machine may have none.
const postgres = values.postgres ? await startPostgres() : undefined;
const server = await startVersitygw();
try {
  await measure();
} finally {
  await server.stop();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  const settings = { ...server.settings, bucket: await server.createBucket() };
  let runs = 0;
  const fill = async (by: FillLoad['by']): Promise<Round> => {
    const child = startChild('./filler.ts');
    runs += 1;
    const load = {
      settings,
      stateDir: join(folder, `${runs}`),
      by,
      index: await postgres?.createDatabase(),
      latencyMs,
    };
    const before = serverCpuSeconds();
    const filled = await ask<Filled>(child, load satisfies FillLoad);
    child.disconnect();
    return { ...filled, serverSeconds: serverCpuSeconds() - before };
  };
  // Makes the store.
  await fill('snapshots');
  const bytes = await putRecords(settings);
  const index = postgres === undefined ? 'SQLite' : 'Postgres';
  console.log(
    `${images} records, ${(bytes / images / 1000).toFixed(1)} kB each; the index is in ${index}; a request takes ${latencyMs} ms more\n`,
  );
  row('', 'seconds', 'records/s', 'CPU s', 'servers s', 'Get', 'List', 'Put', 'MB');
  report('making them', [await fill('make')]);
  const sides = await byTurns(Number(values.rounds), {
    records: () => fill('records'),
    snapshots: () => fill('snapshots'),
  });
  report('one Get a record', sides.records);
  report('from snapshots', sides.snapshots);
  const compare = (what: string, of: (round: Round) => number) => {
    const ratios = sides.records.map((round, at) => of(round) / of(sides.snapshots[at]!));
    console.log(`  ${what}: ${median(ratios).toFixed(1)} (${ratios.map((each) => each.toFixed(1)).join(', ')})`);
  };
  console.log('\nfrom snapshots, of each round');
  compare('times faster', ({ seconds }) => seconds);
  compare('times less CPU, servers included', ({ cpuSeconds, serverSeconds }) => cpuSeconds + serverSeconds);
}

/** What the children that serve have used until now, and those of theirs that have ended. */
function serverCpuSeconds(): number {
  const pids = globSync('/proc/self/task/*/children').flatMap((path) => readFileSync(path, 'utf8').split(' '));
  const ticks = pids.filter(Boolean).map((pid) => {
    const [name, rest] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ') as [string, string];
    if (!/versitygw|postgres/.test(name)) return 0;
    const used = rest.split(' ').slice(11, 15).map(Number);
    return used.reduce((sum, each) => sum + each);
  });
  return ticks.reduce((sum, each) => sum + each, 0) / 100;
}

/** Returns their bytes. */
async function putRecords(settings: FillLoad['settings']): Promise<number> {
  const objects = s3Objects(settings);
  let bytes = 0;
  await inParallel(16, numbers(), async (number) => {
    const record = recordOf(number);
    if (number % WITH_WORKFLOW === 0) record.parametersJson = workflowOf(number);
    const payload = payloadOf(formatRecord(record));
    bytes += payload.size;
    await objects.putNew(recordKey(record.filename), payload, { contentType: 'application/json' });
  });
  objects.close?.();
  return bytes;
}

function* numbers(): Generator<number> {
  for (let number = 0; number < images; number += 1) yield number;
}

/** As ComfyUI writes it into its images, for those that read it: nodes with inputs, texts and links. */
function workflowOf(number: number): string {
  const nodes = Array.from({ length: NODES }, (_, node) => [
    `${node}`,
    {
      class_type: node === 0 ? 'KSampler' : `Node${node % 7}`,
      inputs: {
        seed: number * NODES + node,
        steps: 28,
        cfg: 3.5,
        model: [`${(node + 1) % NODES}`, 0],
        text: promptOf(number + node),
      },
    },
  ]);
  return JSON.stringify({ prompt: Object.fromEntries(nodes) });
}

function report(name: string, rounds: readonly Round[]): void {
  const middle = (of: (round: Round) => number) => median(rounds.map(of));
  if (rounds.some((round) => round.images !== images)) throw new Error('a catalog lacks images');
  row(
    name,
    middle(({ seconds }) => seconds).toFixed(1),
    middle(({ seconds }) => images / seconds).toFixed(0),
    middle(({ cpuSeconds }) => cpuSeconds).toFixed(1),
    middle(({ serverSeconds }) => serverSeconds).toFixed(1),
    `${middle(({ requests }) => requests.get)}`,
    `${middle(({ requests }) => requests.list)}`,
    `${middle(({ requests }) => requests.put)}`,
    middle(({ megabytes }) => megabytes).toFixed(1),
  );
}

function row(name: string, ...cells: string[]): void {
  console.log(`  ${name.padEnd(18)}${cells.map((cell) => cell.padStart(11)).join('')}`);
}
