/** A real S3 server on this machine: versitygw, built on first use, with its data in a temporary folder. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3Config } from '../../src/storage/index.ts';

/** Older ones let two conditional writes of one key win. */
const VERSION = 'v1.8.0';
const BINARIES = fileURLToPath(new URL('../../node_modules/.cache/bin/', import.meta.url));
const BINARY = join(BINARIES, `versitygw-${VERSION}`);
const START_TIMEOUT_MS = 20_000;

/** Go builds it; a build that lies there already needs none. */
export const versitygwAvailable: boolean = existsSync(BINARY) || spawnSync('go', ['version']).status === 0;

export interface S3Server {
  /** What a provider needs to know of it, besides a bucket. */
  readonly settings: Pick<S3Config, 'type' | 'endpoint' | 'region' | 'accessKey' | 'secretKey'>;
  /** Gives the name of a new, empty bucket. */
  createBucket(): Promise<string>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

export async function startVersitygw(): Promise<S3Server> {
  await build();
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-s3-'));
  const [data, sidecar] = [join(folder, 'data'), join(folder, 'sidecar')];
  await Promise.all([data, sidecar].map((path) => mkdir(path)));
  const port = await freePort();
  const [accessKey, secretKey] = ['test-access', 'test-secret'];
  const child = spawn(
    BINARY,
    ['--quiet', '--keep-alive', '--port', `127.0.0.1:${port}`, 'posix', '--sidecar', sidecar, data],
    {
      env: { ROOT_ACCESS_KEY: accessKey, ROOT_SECRET_KEY: secretKey },
      stdio: 'ignore',
    },
  );
  const exited = once(child, 'exit');
  const endpoint = `http://127.0.0.1:${port}`;
  await untilItAnswers(endpoint);
  const settings = { type: 's3', endpoint, region: 'us-east-1', accessKey, secretKey } as const;
  const client = clientOf(settings);
  let buckets = 0;
  return {
    settings,
    async createBucket() {
      buckets += 1;
      const name = `bucket-${buckets}`;
      await client.send(new CreateBucketCommand({ Bucket: name }));
      return name;
    },
    async stop() {
      client.destroy();
      child.kill();
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function clientOf({ endpoint, region, accessKey = '', secretKey = '' }: S3Server['settings']): S3Client {
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  return new S3Client({ endpoint, region, credentials, forcePathStyle: true });
}

/** Another process may be building it, too: the last one to finish wins, with the same file. */
async function build(): Promise<void> {
  if (existsSync(BINARY)) return;
  await mkdir(BINARIES, { recursive: true });
  const folder = await mkdtemp(join(BINARIES, 'build-'));
  const env = { ...process.env, GOBIN: folder };
  await promisify(execFile)('go', ['install', `github.com/versity/versitygw/cmd/versitygw@${VERSION}`], { env });
  await rename(join(folder, 'versitygw'), BINARY);
  await rm(folder, { recursive: true });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function untilItAnswers(endpoint: string): Promise<void> {
  for (const giveUpAt = Date.now() + START_TIMEOUT_MS; ; await sleep(50)) {
    try {
      await fetch(endpoint);
      return;
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
    }
  }
}
