/** Daemons that share a bucket: starts them, and waits until they list. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ImageStorageClient } from '../src/client.ts';
import type { S3Config } from '../src/storage/domain/config.ts';
import { type Daemon, startConfigured } from './daemon.ts';

/** Returns the `stateDir` of a daemon. */
export function stateOf(folder: string, number: number): string {
  return join(folder, `${number}`);
}

/** Starts a daemon over the bucket, whose configuration and state lie in the folder. */
export async function startOverBucket(folder: string, number: number, config: S3Config): Promise<Daemon> {
  const configFile = join(folder, `${number}.json`);
  const s3 = { ...config, stateDir: stateOf(folder, number) };
  await writeFile(configFile, JSON.stringify({ defaultProvider: 's3', providers: { s3 } }));
  return startConfigured(configFile);
}

/** Resolves once the daemon lists so many images; asks it at most so often. */
export async function untilListed({ address }: Daemon, count: number, everyMs: number): Promise<void> {
  const client = connect(address, { retries: 0 });
  while ((await countOf(client)) !== count) await sleep(everyMs);
  client.close();
}

/** Returns undefined while it does not answer. */
async function countOf(client: ImageStorageClient): Promise<number | undefined> {
  try {
    return (await client.stats()).reduce((sum, { count }) => sum + count, 0);
  } catch {
    return undefined;
  }
}
