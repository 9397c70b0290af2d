/**
 * `npm run bench:s3 [-- --quick]`: compares saves into a bucket with a bare PutObject of the same bytes, in turns on
 * one server.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startVersitygw } from '../test/support/versitygw.ts';
import type { BarePutLoad } from './bare-put.ts';
import { ask, startChild } from './child.ts';
import { startDaemon } from './daemon.ts';
import { byTurns, median, percentile, type Round } from './rounds.ts';
import type { SaveLoad } from './saver.ts';

const CASES = [
  { name: '8 MiB × 4', imageBytes: 8 * 1024 * 1024, concurrency: 4, aim: 0.6 },
  { name: '100 kB × 16', imageBytes: 100_000, concurrency: 16, aim: 0.4 },
];

const { values } = parseArgs({ options: { quick: { type: 'boolean' } } });
const [rounds, durationMs] = values.quick ? [3, 1_000] : [7, 2_000];

const folder = await mkdtemp(join(tmpdir(), 'image-storage-bench-'));
const server = await startVersitygw();
try {
  console.log('saves into a bucket of versitygw, through the daemon, beside a bare PutObject of the same bytes\n');
  row('', 'images/s', 'p50 ms', 'p99 ms', 'bare/s', 'ratio', 'aim', 'daemon CPU', 'bare CPU');
  for (const each of CASES) await measure(each);
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}

async function measure({ name, imageBytes, concurrency, aim }: (typeof CASES)[number]): Promise<void> {
  const { settings } = server;
  const bucket = await server.createBucket();
  const basePath = join(folder, bucket);
  const daemon = await startDaemon(basePath, {
    IMAGE_STORAGE_DEFAULT_PROVIDER: 's3',
    IMAGE_STORAGE_PROVIDERS_S3_BUCKET: bucket,
    IMAGE_STORAGE_PROVIDERS_S3_REGION: settings.region,
    IMAGE_STORAGE_PROVIDERS_S3_ENDPOINT: settings.endpoint,
    IMAGE_STORAGE_PROVIDERS_S3_ACCESS_KEY: settings.accessKey,
    IMAGE_STORAGE_PROVIDERS_S3_SECRET_KEY: settings.secretKey,
    IMAGE_STORAGE_PROVIDERS_S3_STATE_DIR: join(basePath, 'state'),
  });
  const [bare, saver] = [startChild('./bare-put.ts'), startChild('./saver.ts')];
  const load = { imageBytes, concurrency, durationMs };
  const sides = await byTurns(rounds, {
    bare: () => ask<Round>(bare, { ...load, settings, bucket } satisfies BarePutLoad),
    async daemon() {
      await daemon.activity();
      const round = await ask<Round>(saver, { ...load, address: daemon.address } satisfies SaveLoad);
      return { ...round, cpuSeconds: (await daemon.activity()).cpuSeconds };
    },
  });
  for (const child of [bare, saver]) child.disconnect();
  await daemon.stop();
  const ratio = median(sides.daemon.map((round, at) => perSecond(round) / perSecond(sides.bare[at]!)));
  const latencies = sides.daemon.flatMap((round) => round.latenciesMs);
  row(
    name,
    median(sides.daemon.map(perSecond)).toFixed(1),
    percentile(latencies, 50).toFixed(1),
    percentile(latencies, 99).toFixed(1),
    median(sides.bare.map(perSecond)).toFixed(1),
    ratio.toFixed(2),
    `>= ${aim}`,
    `${median(sides.daemon.map(cpuMs)).toFixed(1)} ms`,
    `${median(sides.bare.map(cpuMs)).toFixed(1)} ms`,
  );
}

function perSecond({ count, seconds }: Round): number {
  return count / seconds;
}

/** Returns the CPU time per image. */
function cpuMs({ count, cpuSeconds }: Round): number {
  return (cpuSeconds * 1000) / count;
}

function row(name: string, ...cells: string[]): void {
  console.log(`  ${name.padEnd(12)}${cells.map((cell) => cell.padStart(12)).join('')}`);
}
