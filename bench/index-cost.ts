/**
 * `npm run bench:index [-- --rows N] [-- --no-requests]`: measures what an index in Postgres costs: rows and indexes on the disk, processor
 * time and rows a second by the size of a group and the number of writers, and the requests to a bucket that calls make. Its
 * figures are what `bench/scaling.ts` counts with. Not for root, whom Postgres refuses.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { metered } from '../src/storage/bucket/metered-store.ts';
import { openSharedIndex, type SharedIndex } from '../src/storage/catalog/postgres/shared-index.ts';
import type { IndexChange } from '../src/storage/catalog/postgres/writer.ts';
import type { Meter } from '../src/storage/domain/meter.ts';
import type { StorageProvider } from '../src/storage/index.ts';
import { memoryObjects, memoryStorage } from '../src/storage/providers/memory-storage.ts';
import { openObjectStorage } from '../src/storage/providers/object-storage.ts';
import { contextOf } from '../test/support/bucket.ts';
import { pngOf } from '../test/support/images.ts';
import { recordOf } from '../test/support/many-images.ts';
import { ask, startPostgres } from '../test/support/postgres.ts';
import { median } from './rounds.ts';

const GROUPS = [1, 8, 32, 128];
const WRITERS = [1, 3];
const ROUNDS = 9;
const CALLS = 50;
const FILL_AT_ONCE = 500;
/** Of one connection. */
const IDLE_MS = 62_000;

const { values } = parseArgs({
  options: { rows: { type: 'string', default: '100000' }, requests: { type: 'boolean', default: true } },
  allowNegative: true,
});
const rows = Number(values.rows);

const server = await startPostgres([
  'fsync=on',
  'synchronous_commit=on',
  'full_page_writes=on',
  'shared_buffers=256MB',
]);
const folder = await mkdtemp(join(tmpdir(), 'image-storage-bench-'));
try {
  if (values.requests) await measureRequests(await server.createDatabase());
  await measureIndex(await server.createDatabase());
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}

async function measureRequests(url: string): Promise<void> {
  for (const [name, index] of [
    ['a shared bucket', undefined],
    ['a fleet', url],
  ] as const) {
    const counts = new Map<string, number>();
    const meter = {
      backendCalled: ({ operation }: { operation: string }) => counts.set(operation, (counts.get(operation) ?? 0) + 1),
    } as Partial<Meter>;
    const options = {
      ...memoryStorage(metered(memoryObjects(new Map()), meter as Meter)),
      stateDir: join(folder, name),
      shared: true,
      ...(index !== undefined && { index }),
    };
    const provider = await openObjectStorage(options, contextOf());
    const count = async (what: string, work: () => Promise<unknown>, of: number) => {
      counts.clear();
      await work();
      const told = [...counts].map(([operation, each]) => `${(each / of).toFixed(2)} ${operation}`);
      console.log(`requests of ${name}: ${what}: ${told.join(', ') || 'none'}`);
    };
    const names: string[] = [];
    await count('a save', () => save(provider, names), CALLS);
    await count('a get', () => each(names, async (filename) => drain(await provider.get(filename))), CALLS);
    await count('an update', () => each(names, (filename) => provider.update(filename, { pinned: true })), CALLS);
    await count('a list of all', async () => await provider.list({}), 1);
    await count('a delete', () => each(names, (filename) => provider.delete(filename)), CALLS);
    await count(`at rest, a minute`, () => new Promise((resolve) => setTimeout(resolve, IDLE_MS)), IDLE_MS / 60_000);
    await provider.close();
  }
}

async function save(provider: StorageProvider, names: string[]): Promise<void> {
  for (let seed = 0; seed < CALLS; seed += 1) {
    const metadata = { prompt: `image ${seed}`, model: 'flux', timestamp: new Date() };
    names.push(
      (await provider.save(pngOf({ width: 8, height: 8, seed }), metadata, { idempotencyKey: `${seed}` })).filename,
    );
  }
}

async function each(names: readonly string[], work: (filename: string) => Promise<unknown>): Promise<void> {
  for (const filename of names) await work(filename);
}

async function drain({ body }: { body: AsyncIterable<unknown> }): Promise<void> {
  for await (const _ of body);
}

async function measureIndex(url: string): Promise<void> {
  const index = await openSharedIndex({ url, storeId: 'bench', now: Date.now });
  let next = 0;
  const take = (count: number): IndexChange[] => Array.from({ length: count }, () => changeOf(next++));
  const began = performance.now();
  const cpuBefore = [await serverCpuMs(url), ownCpuMs()] as const;
  while (next < rows) await index.applyAll(take(FILL_AT_ONCE));
  await index.tidy();
  const cpu = [(await serverCpuMs(url)) - cpuBefore[0], ownCpuMs() - cpuBefore[1]].map((ms) => (ms / next).toFixed(3));
  const told = `${perSecond(next, performance.now() - began)} rows/s, ms of CPU a row: server ${cpu[0]}, daemon ${cpu[1]}`;
  console.log(`filled with ${next} rows in groups of ${FILL_AT_ONCE}: ${told}`);
  await reportSizes(url, next);
  for (const size of GROUPS) {
    for (const writers of WRITERS) await measureWrites(url, index, size, writers, take);
  }
  await index.end();
}

async function measureWrites(
  url: string,
  index: SharedIndex,
  size: number,
  writers: number,
  take: (count: number) => IndexChange[],
): Promise<void> {
  // As many daemons, each with one group at a time.
  const others = await Promise.all(
    Array.from({ length: writers - 1 }, () => openSharedIndex({ url, storeId: 'bench', now: Date.now })),
  );
  const daemons = [index, ...others];
  const times: number[] = [];
  const cpuBefore = await serverCpuMs(url);
  for (let round = 0; round < ROUNDS; round += 1) {
    const groups = daemons.map(() => take(size));
    const began = performance.now();
    await Promise.all(daemons.map((daemon, at) => daemon.applyAll(groups[at]!)));
    times.push(performance.now() - began);
  }
  const cpu = ((await serverCpuMs(url)) - cpuBefore) / (ROUNDS * writers);
  const told = [`median ${median(times).toFixed(1)} ms`, `best ${Math.min(...times).toFixed(1)}`];
  console.log(`${writers} × ${size} rows: ${told.join(', ')}, ${cpu.toFixed(2)} ms of the server's CPU a transaction`);
  for (const other of others) await other.end();
}

/** Of the processes that serve the connections. */
async function serverCpuMs(url: string): Promise<number> {
  const found = await ask(url, "SELECT pid FROM pg_stat_activity WHERE usename = 'images' AND pid <> pg_backend_pid()");
  const nanoseconds = found.map(({ pid }) => Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ', 1)[0]));
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6;
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function changeOf(number: number): IndexChange {
  const record = recordOf(number);
  return {
    kind: 'found',
    filename: record.filename,
    found: { kind: 'live', etag: `"${number}"`.padEnd(34, '0'), record },
  };
}

async function reportSizes(url: string, count: number): Promise<void> {
  const sql = `
    SELECT CASE WHEN t.relname LIKE 'slice_%' THEN 'slices' ELSE t.relname END AS name,
      sum(pg_relation_size(t.oid))::float8 AS rows,
      sum(pg_table_size(t.oid) - pg_relation_size(t.oid))::float8 AS long,
      sum(pg_indexes_size(t.oid))::float8 AS indexes,
      sum((SELECT coalesce(sum(pg_relation_size(i.indexrelid)), 0) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = t.oid AND c.relname LIKE '%_words'))::float8 AS words
    FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE n.nspname LIKE 'image_storage%' AND t.relkind = 'r' GROUP BY 1 ORDER BY 2 DESC`;
  for (const row of await ask(url, sql)) {
    const told = ['rows', 'long', 'indexes', 'words'].map((key) => `${key} ${(Number(row[key]) / count).toFixed(0)}`);
    console.log(`bytes an image in ${row.name}: ${told.join(', ')}`);
  }
}

function perSecond(count: number, ms: number): string {
  return ((count * 1000) / ms).toFixed(0);
}
