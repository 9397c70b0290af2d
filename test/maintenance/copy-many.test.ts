/** A collection of real images on its way from a folder to S3 and back, by a daemon that is killed in the middle. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CopySummary, connect, type ImageStorageClient } from '../../src/client.ts';
import type { ListedObject } from '../../src/storage/bucket/object-store.ts';
import { createStorage, type S3Config } from '../../src/storage/index.ts';
import { s3Objects } from '../../src/storage/s3/objects.ts';
import { startDaemonProcess } from '../support/daemon-process.ts';
import { filesBelow, untilNothingIsStaged } from '../support/files.ts';
import { pngChunk, pngOf, sharedImages, uint32 } from '../support/images.ts';
import { imageOf } from '../support/ledger.ts';
import { requires } from '../support/requires.ts';
import { runDaemonOver } from '../support/running-daemon.ts';
import { full } from '../support/scale.ts';
import { type S3Server, startVersitygw, versitygwAvailable } from '../support/versitygw.ts';

const BUILD_TIMEOUT_MS = 600_000;
const TIMEOUT_MS = 15 * 60_000;
const IMAGES = full ? 500 : 40;
const IHDR_END = 33;

requires('Go, to build the S3 server versitygw', versitygwAvailable)(`copy of ${IMAGES} images`, () => {
  let server: S3Server;
  let folder: string;
  let bucket: S3Config;
  let config: string;
  const pathOf = (name: string) => join(folder, name);

  beforeAll(async () => {
    server = await startVersitygw();
    folder = await mkdtemp(join(tmpdir(), 'image-storage-copy-'));
    bucket = { ...server.settings, bucket: await server.createBucket() };
    const [local, back] = ['local', 'back'].map((name) => ({ type: 'local', basePath: pathOf(name) }));
    const providers = { local, back, s3: { ...bucket, stateDir: pathOf('state') } };
    config = pathOf('config.json');
    await writeFile(config, JSON.stringify({ defaultProvider: 'local', providers }));
    await fill(pathOf('local'));
  }, BUILD_TIMEOUT_MS);
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });

  const withDaemon = async <T>(work: (client: ImageStorageClient) => Promise<T>): Promise<T> => {
    const daemon = await runDaemonOver({ configFile: config });
    const client = connect(daemon.address, { retries: 0 });
    try {
      return await work(client);
    } finally {
      client.close();
      await daemon.close();
    }
  };

  /** Begins the copy and kills the daemon, which is a process of its own, once a part of it is done. */
  const killInTheMiddle = async (from: string, to: string) => {
    const daemon = await startDaemonProcess(undefined, { flags: ['--config', config] });
    const client = connect(daemon.address, { retries: 0 });
    let killing: Promise<unknown> | undefined;
    const run = async () => {
      for await (const event of client.copy({ from, to })) {
        if (event.kind === 'progress' && event.progress.images >= IMAGES / 6) killing ??= daemon.stop('SIGKILL');
      }
    };
    await expect(run()).rejects.toMatchObject({ name: 'ImageStorageError' });
    expect(await killing).toBeNull();
    client.close();
  };

  const finish = (from: string, to: string) => withDaemon((client) => copyToEnd(client, from, to));

  it('to S3, killed and started again, copies none of them twice', { timeout: TIMEOUT_MS }, async () => {
    await killInTheMiddle('local', 's3');
    const before = await objectsIn(bucket);
    const { copied, present, failed } = await finish('local', 's3');
    expect({ sum: copied + present, failed }).toEqual({ sum: IMAGES, failed: 0 });
    const committed = before.filter(({ key }) => key.includes('/metadata/generations/')).length;
    expect(committed).toBeGreaterThan(0);
    expect(present).toBeGreaterThanOrEqual(committed);
    expect(copied).toBeGreaterThan(0);
    const after = await objectsIn(bucket);
    expect(after).toEqual(expect.arrayContaining(before));
    expect(await finish('local', 's3')).toMatchObject({ copied: 0, copiedBytes: 0, present: IMAGES });
    expect(await objectsIn(bucket)).toEqual(after);
  });

  it('and back into another folder, killed as well, is the same to the byte', { timeout: TIMEOUT_MS }, async () => {
    await killInTheMiddle('s3', 'back');
    await withDaemon(async () => {});
    const before = await stampsBelow(pathOf('back'));
    const { copied, present, failed } = await finish('s3', 'back');
    expect({ sum: copied + present, failed }).toEqual({ sum: IMAGES, failed: 0 });
    expect(present).toBe(before.size);
    expect(present).toBeGreaterThan(0);
    expect(copied).toBeGreaterThan(0);
    expect([...(await stampsBelow(pathOf('back')))]).toEqual(expect.arrayContaining([...before]));
    expect(await finish('s3', 'back')).toMatchObject({ copied: 0, present: IMAGES });

    const [wanted, found] = await Promise.all(['local', 'back'].map((name) => filesBelow(pathOf(name), 'images')));
    expect(found!.sort()).toEqual(wanted!.sort());
    for (const path of wanted!) {
      const [one, other] = await Promise.all(['local', 'back'].map((name) => readFile(join(pathOf(name), path))));
      expect(one!.equals(other!), path).toBe(true);
      const record = path.replace(/^images/, 'metadata');
      const [told, copy] = await Promise.all(['local', 'back'].map((name) => recordOf(pathOf(name), record)));
      expect(copy).toEqual(told);
    }
    const findings = await withDaemon(async (client) => {
      for await (const event of client.verify({ provider: '*', deep: true })) {
        if (event.kind === 'finding') throw new Error(`${event.finding.problem}: ${event.finding.key}`);
        if (event.kind === 'summary') return event.summary;
      }
      throw new Error('the run ended without its summary');
    });
    expect(findings).toMatchObject({ images: 3 * IMAGES, findings: 0 });
  });

  async function fill(basePath: string): Promise<void> {
    const storage = await createStorage({ providers: { local: { basePath } } });
    const images = realImages();
    const saver = async () => {
      for (const { bytes, number } of images) {
        const { metadata, options } = imageOf(number);
        await storage.save(bytes, metadata, { ...options, pinned: number % 5 === 0 });
      }
    };
    await Promise.all([1, 2, 3, 4].map(saver));
    await untilNothingIsStaged(basePath);
    await storage.close();
  }
});

/** Each is another: a chunk behind the header has its number. */
function* realImages(): Generator<{ bytes: Buffer; number: number }> {
  const pngs = sharedImages().filter(({ name }) => name.endsWith('.png'));
  const originals = pngs.length > 0 ? pngs.map(({ bytes }) => bytes) : [pngOf({ width: 8, height: 8, sizeBytes: 1e6 })];
  for (let number = 1; number <= IMAGES; number += 1) {
    const original = originals[number % originals.length]!;
    const chunk = pngChunk('nuMb', uint32(number));
    yield { bytes: Buffer.concat([original.subarray(0, IHDR_END), chunk, original.subarray(IHDR_END)]), number };
  }
}

async function copyToEnd(client: ImageStorageClient, from: string, to: string): Promise<CopySummary> {
  for await (const event of client.copy({ from, to })) if (event.kind === 'summary') return event.summary;
  throw new Error('the copy ended without its summary');
}

/** All images and records, with their ETags and times. */
async function objectsIn(bucket: S3Config): Promise<ListedObject[]> {
  const objects = s3Objects(bucket);
  const found: ListedObject[] = [];
  for (let after: string | undefined, more = true; more; ) {
    const page = await objects.list('outputs/', after);
    found.push(...page.objects);
    after = page.objects.at(-1)?.key;
    more = page.more;
  }
  objects.close?.();
  return found.filter(({ key }) => key.includes('/generations/'));
}

/** Which file lies at each path of an image. */
async function stampsBelow(basePath: string): Promise<Map<string, string>> {
  const paths = await filesBelow(basePath, 'images');
  const stamps = await Promise.all(paths.map(async (path) => stat(join(basePath, path), { bigint: true })));
  return new Map(paths.map((path, at) => [path, `${stamps[at]!.ino} ${stamps[at]!.mtimeNs}`]));
}

async function recordOf(basePath: string, path: string): Promise<object> {
  return JSON.parse(await readFile(join(basePath, `${path}.json`), 'utf8'));
}
