/** The floor under a save: a process without gRPC, checks and searches that does the same writes, hashes and fsyncs. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { link, open, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { pngOf } from '../test/support/images.ts';
import { promptOf } from '../test/support/many-images.ts';
import { answerParent } from './child.ts';
import { type Round, runFor } from './rounds.ts';

const CHUNK_BYTES = 256 * 1024;

export interface FloorLoad {
  basePath: string;
  imageBytes: number;
  concurrency: number;
  durationMs: number;
}

interface Waiting {
  name: string;
  record: string;
  resolve: () => void;
}

type Commit = (name: string, record: string) => Promise<void>;

const images = new Map<number, Buffer>();
let saved = 0;
let database: Worker | undefined;

async function saveOn({ basePath, imageBytes, concurrency, durationMs }: FloorLoad): Promise<Round> {
  const [staging, final, records] = [join(basePath, 'staging'), join(basePath, 'images'), join(basePath, 'records')];
  for (const folder of [staging, final, records]) mkdirSync(folder, { recursive: true });
  database ??= new Worker(new URL('./floor-commit.ts', import.meta.url), { workerData: join(basePath, 'floor.db') });
  const commit = committerOf(database, [staging, final]);
  const image = imageOf(imageBytes);
  const afterwards: Promise<void>[] = [];

  const save = async () => {
    saved += 1;
    const name = `${process.pid}-${saved}`;
    const part = join(staging, `${name}.part`);
    const staged = join(staging, `${name}.json`);
    const sha256 = await writePart(part, image);
    await link(part, join(final, name));
    const record = JSON.stringify({ name, sha256, prompt: promptOf(saved) });
    await writeFile(staged, record);
    await commit(name, record);
    afterwards.push(rename(staged, join(records, `${name}.json`)).then(() => unlink(part)));
  };
  const round = await runFor(durationMs, concurrency, save);
  await Promise.all(afterwards);
  return round;
}

async function writePart(path: string, image: Buffer): Promise<string> {
  const part = await open(path, 'wx');
  const hash = createHash('sha256');
  for (let at = 0; at < image.length; at += CHUNK_BYTES) {
    const chunk = image.subarray(at, at + CHUNK_BYTES);
    hash.update(chunk);
    await part.write(chunk);
  }
  await part.datasync();
  await part.close();
  return hash.digest('hex');
}

/** Returns a group commit: what waits while one group is written becomes the next group. */
function committerOf(thread: Worker, folders: string[]): Commit {
  let waiting: Waiting[] = [];
  let running = false;
  const run = async () => {
    running = true;
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      await Promise.all(folders.map(syncFolder));
      const committed = once(thread, 'message');
      thread.postMessage(group.map(({ name, record }) => ({ name, record })));
      await committed;
      for (const { resolve } of group) resolve();
    }
    running = false;
  };
  return (name, record) =>
    new Promise((resolve, reject) => {
      waiting.push({ name, record, resolve });
      if (!running) run().catch(reject);
    });
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  await folder.sync();
  await folder.close();
}

function imageOf(sizeBytes: number): Buffer {
  const image = images.get(sizeBytes) ?? pngOf({ width: 64, height: 64, sizeBytes });
  images.set(sizeBytes, image);
  return image;
}

answerParent(saveOn);
