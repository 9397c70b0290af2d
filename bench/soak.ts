/**
 * `npm run bench:soak [-- --minutes 30] [-- --dir FOLDER] [-- --command bin/image-storage.js]`: three savers, two readers,
 * lists and deletes at a moderate rate, and the daemon's memory every ten seconds.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { connect, type ImageStorageClient } from '../src/client.ts';
import { pngOf } from '../test/support/images.ts';
import { promptOf } from '../test/support/many-images.ts';

const SAVERS = [
  { sizeBytes: 100_000, pauseMs: 100 },
  { sizeBytes: 600_000, pauseMs: 300 },
  { sizeBytes: 8 * 1024 * 1024, pauseMs: 3_000 },
];
const READERS = 2;
/** Of the images that live at once: the oldest are deleted. */
const KEPT = 400;
const SAMPLE_MS = 10_000;
const MB = 1e6;
const SETTLED_MS = 10 * 60_000;
const HOUR_MS = 60 * 60_000;

interface Sample {
  atMs: number;
  megabytes: number;
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    dir: { type: 'string', default: tmpdir() },
    command: { type: 'string', default: fileURLToPath(new URL('../bin/image-storage.js', import.meta.url)) },
  },
});
const end = performance.now() + Number(values.minutes) * 60_000;
const folder = await mkdtemp(join(values.dir, 'image-storage-soak-'));
const args = [values.command, 'serve', '--listen', '127.0.0.1:0', '--base-path', join(folder, 'outputs')];
// Without a probe: what is measured is the daemon as it ships.
const daemon = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
const [greeting] = await once(createInterface({ input: daemon.stdout }), 'line');
const address = greeting.replace('ImageStorage listens on ', '');
const counts = { saved: 0, read: 0, listed: 0, deleted: 0, failed: 0 };
const live: { filename: string; sha256: string }[] = [];

try {
  const samples: Sample[] = [];
  const works = [
    ...SAVERS.map(({ sizeBytes, pauseMs }) => repeat(pauseMs, saver(sizeBytes))),
    ...Array.from({ length: READERS }, () => repeat(100, readOne)),
    repeat(1_000, (client) => listSome(client, undefined)),
    repeat(2_000, (client) => listSome(client, promptOf(counts.saved).split(' ')[3])),
    repeat(200, deleteOldest),
    sample(samples),
  ];
  await Promise.all(works);
  report(samples);
} finally {
  daemon.kill();
  await once(daemon, 'exit');
  await rm(folder, { recursive: true, force: true });
}

/** Each has a connection of its own. */
async function repeat(pauseMs: number, work: (client: ImageStorageClient) => Promise<void>): Promise<void> {
  const client = connect(address);
  while (performance.now() < end) {
    try {
      await work(client);
    } catch (error) {
      counts.failed += 1;
      console.error(error);
    }
    await sleep(pauseMs);
  }
  client.close();
}

function saver(sizeBytes: number): (client: ImageStorageClient) => Promise<void> {
  const image = pngOf({ width: 64, height: 64, sizeBytes });
  const sha256 = createHash('sha256').update(image).digest('hex');
  return async (client) => {
    const { filename } = await client.save(image, { prompt: promptOf(counts.saved), model: 'flux-schnell' });
    live.push({ filename, sha256 });
    counts.saved += 1;
  };
}

async function readOne(client: ImageStorageClient): Promise<void> {
  // Not one of those that are deleted next.
  const recent = live.slice(-KEPT / 2);
  const wanted = recent[Math.floor(Math.random() * recent.length)];
  if (wanted === undefined) return;
  const hash = createHash('sha256');
  for await (const chunk of (await client.get(wanted.filename)).body) hash.update(chunk);
  if (hash.digest('hex') !== wanted.sha256) throw new Error(`${wanted.filename} has other bytes`);
  counts.read += 1;
}

async function listSome(client: ImageStorageClient, query: string | undefined): Promise<void> {
  for await (const _ of client.list({ limit: 1000, ...(query && { query }) })) counts.listed += 1;
}

async function deleteOldest(client: ImageStorageClient): Promise<void> {
  for (const { filename } of live.splice(0, Math.max(0, live.length - KEPT))) {
    await client.delete(filename);
    counts.deleted += 1;
  }
}

async function sample(samples: Sample[]): Promise<void> {
  for (const begun = performance.now(); performance.now() < end; await sleep(SAMPLE_MS)) {
    const megabytes = memoryMb('VmRSS');
    samples.push({ atMs: performance.now() - begun, megabytes });
    console.log(`${(samples.at(-1)!.atMs / 60_000).toFixed(1)} min  ${megabytes.toFixed(0)} MB`);
  }
}

function memoryMb(field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${daemon.pid}/status`, 'utf8');
  return (Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)![1]) * 1024) / MB;
}

function report(samples: Sample[]): void {
  const later = samples.filter(({ atMs }) => atMs > SETTLED_MS);
  console.log(JSON.stringify(counts));
  console.log(`peak ${memoryMb('VmHWM').toFixed(0)} MB   <= 240 MB`);
  if (later.length > 1) console.log(`slope after ten minutes ${slopeOf(later).toFixed(1)} MB/h   <= 5 MB/h`);
}

/** Least squares, in MB an hour. */
function slopeOf(samples: Sample[]): number {
  const mean = (of: (sample: Sample) => number) => samples.reduce((sum, each) => sum + of(each), 0) / samples.length;
  const [meanMs, meanMb] = [mean(({ atMs }) => atMs), mean(({ megabytes }) => megabytes)];
  const covariance = mean(({ atMs, megabytes }) => (atMs - meanMs) * (megabytes - meanMb));
  return (covariance / mean(({ atMs }) => (atMs - meanMs) ** 2)) * HOUR_MS;
}
