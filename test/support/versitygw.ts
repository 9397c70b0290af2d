/** A real S3 server on this machine: versitygw, built on first use, with its data in a temporary folder. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3Config } from '../../src/storage/index.ts';
import { freePort } from './free-port.ts';
import { goTool } from './go-tools.ts';

const run = promisify(execFile);
/** Older versions let two conditional writes of one key win. */
const tool = goTool('versitygw', 'github.com/versity/versitygw/cmd/versitygw', 'v1.8.0');
const START_TIMEOUT_MS = 20_000;

/** Go builds it; a build that lies there already needs none. */
export const versitygwAvailable: boolean = tool.available;

export interface S3Server {
  /** What a provider needs to know of it, besides a bucket. */
  readonly settings: Pick<S3Config, 'type' | 'endpoint' | 'region' | 'accessKey' | 'secretKey'>;
  /** Gives the name of a new, empty bucket. */
  createBucket(): Promise<string>;
  /** Credentials of a new user, who may do these actions, such as `s3:GetObject`, in that bucket and nothing else. */
  createUser(bucket: string, actions: readonly string[]): Promise<Pick<S3Config, 'accessKey' | 'secretKey'>>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

/** Builds it where it has not been built yet. */
export async function buildVersitygw(): Promise<void> {
  await tool.build();
}

/** Returns the path of the program. */
export function versitygwProgram(): Promise<string> {
  return tool.build();
}

export async function startVersitygw(): Promise<S3Server> {
  const binary = await tool.build();
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-s3-'));
  const [data, sidecar, users] = [join(folder, 'data'), join(folder, 'sidecar'), join(folder, 'users')];
  await Promise.all([data, sidecar, users].map((path) => mkdir(path)));
  const port = await freePort();
  const [accessKey, secretKey] = ['test-access', 'test-secret'];
  const child = spawn(
    binary,
    ['--quiet', '--keep-alive', '--iam-dir', users, '--port', `127.0.0.1:${port}`, 'posix', '--sidecar', sidecar, data],
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
    async createUser(bucket, actions) {
      const user = { accessKey: `user-of-${bucket}`, secretKey: `secret-of-${bucket}` };
      const login = ['--access', accessKey, '--secret', secretKey, '--endpoint-url', endpoint];
      const account = ['--access', user.accessKey, '--secret', user.secretKey, '--role', 'user'];
      await run(binary, ['admin', ...login, 'create-user', ...account]);
      if (actions.length > 0) await client.send(policyOf(bucket, user.accessKey, actions));
      return user;
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

function policyOf(bucket: string, user: string, actions: readonly string[]): PutBucketPolicyCommand {
  const Resource = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`];
  const Statement = [{ Effect: 'Allow', Principal: { AWS: [user] }, Action: actions, Resource }];
  return new PutBucketPolicyCommand({ Bucket: bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) });
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
