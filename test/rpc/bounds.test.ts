/** The memory of the daemon, as it ships, does not grow with what it keeps, nor beyond its bound with what arrives at once. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { connect } from '../../src/client.ts';
import { startBucketDaemon } from '../support/bucket-daemon.ts';
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts';
import { pngOf } from '../support/images.ts';
import { layOutImages } from '../support/many-images.ts';
import { requires } from '../support/requires.ts';
import { full } from '../support/scale.ts';
import { startVersitygw, versitygwAvailable } from '../support/versitygw.ts';

const MB = 1e6;
const IMAGE_BYTES = 8 * 1024 * 1024;
const RECORDS = full ? 100_000 : 10_000;
const SAVES = 64;

let folder: string;
let daemon: DaemonProcess | undefined;

beforeEach(async () => {
  daemon = undefined;
  folder = await mkdtemp(join(tmpdir(), 'image-storage-bounds-'));
});

afterEach(async () => {
  await daemon?.stop('SIGTERM');
  await rm(folder, { recursive: true });
});

it(`streams a list of ${RECORDS} images in constant memory`, { timeout: 240_000 }, async () => {
  layOutImages(folder, RECORDS);
  daemon = await startDaemonProcess(folder);
  await daemon.stop('SIGTERM');
  daemon = await startDaemonProcess(folder);
  const client = connect(daemon.address);
  const countListed = async (limit?: number) => {
    let count = 0;
    for await (const _ of client.list({ limit })) count += 1;
    return count;
  };
  // What the first calls of a process take, whatever they ask for.
  expect(await countListed(1000)).toBe(1000);
  const before = memoryOf('VmRSS');
  expect(await countListed()).toBe(RECORDS);
  expect(memoryOf('VmHWM') - before).toBeLessThan(50 * MB);
  client.close();
});

it.each([1, SAVES])(
  `takes ${SAVES} saves of 8 MiB at once over %i connections in 300 MB`,
  { timeout: 240_000 },
  async (connections) => {
    daemon = await startDaemonProcess(folder);
    const { address } = daemon;
    const image = pngOf({ width: 64, height: 64, sizeBytes: IMAGE_BYTES });
    const clients = Array.from({ length: connections }, () => connect(address));
    const saves = Array.from({ length: SAVES }, (_, at) =>
      clients[at % connections]!.save(image, { prompt: `image ${at}` }),
    );
    expect(new Set((await Promise.all(saves)).map(({ filename }) => filename)).size).toBe(SAVES);
    for (const client of clients) client.close();
    const peak = memoryOf('VmHWM');
    console.info(`peak of ${SAVES} saves over ${connections} connections: ${Math.round(peak / 1e6)} MB`);
    expect(peak).toBeLessThan(300 * MB);
  },
);

requires('Go, to build the S3 server versitygw', versitygwAvailable)('a bucket', () => {
  it.runIf(full)('takes 16 saves of 64 MiB at once in 300 MB', { timeout: 600_000 }, async () => {
    const server = await startVersitygw();
    onTestFinished(() => server.stop());
    const bucket = { ...server.settings, bucket: await server.createBucket() };
    daemon = await startBucketDaemon(bucket, folder);
    const client = connect(daemon.address);
    const image = pngOf({ width: 64, height: 64, sizeBytes: 64 * 1024 * 1024 });
    const saves = Array.from({ length: 16 }, (_, at) => client.save(image, { prompt: `image ${at}` }));
    expect(new Set((await Promise.all(saves)).map(({ filename }) => filename)).size).toBe(16);
    client.close();
    const peak = memoryOf('VmHWM');
    console.info(`peak of 16 saves of 64 MiB into a bucket: ${Math.round(peak / 1e6)} MB`);
    expect(peak).toBeLessThan(300 * MB);
  });
});

/** Bytes that the daemon holds now, or held at most. */
function memoryOf(field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${daemon!.process.pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)![1]) * 1024;
}
