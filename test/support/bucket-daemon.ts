/** A daemon in a process of its own over a bucket, and what its death in the middle of a save leaves there. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from '../../src/client.ts';
import { imageKey } from '../../src/storage/domain/naming.ts';
import type { S3Config } from '../../src/storage/index.ts';
import { type DaemonProcess, type DaemonProcessOptions, startDaemonProcess } from './daemon-process.ts';
import type { TestImage } from './ledger.ts';
import { type OwnDaemonOptions, type RunningDaemon, runDaemonOver } from './running-daemon.ts';
import { type Matches, requestsOf, type S3FaultServer } from './s3-fault-server.ts';
import type { FaultName } from './s3-faults.ts';

/** The bucket is its default provider. Its state lies in `folder`, and is there again at the next start. */
export async function startBucketDaemon(
  bucket: Omit<S3Config, 'stateDir'>,
  folder: string,
  options: DaemonProcessOptions = {},
): Promise<DaemonProcess> {
  return startDaemonProcess(undefined, { ...options, flags: ['--config', await writeConfig(bucket, folder)] });
}

/** The same in this process. */
export async function runBucketDaemon(
  bucket: Omit<S3Config, 'stateDir'>,
  folder: string,
  { logFile }: Pick<OwnDaemonOptions, 'logFile'> = {},
): Promise<Pick<RunningDaemon, 'address' | 'close'>> {
  return runDaemonOver({ configFile: await writeConfig(bucket, folder), logFile });
}

async function writeConfig(bucket: Omit<S3Config, 'stateDir'>, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'image-storage.json');
  const s3 = { ...bucket, stateDir: stateOf(folder), lockWaitSeconds: 10 };
  await writeFile(path, JSON.stringify({ defaultProvider: 's3', providers: { s3 } }));
  return path;
}

/** As if its disk were lost: the next start knows only what is in the bucket. */
export async function loseState(folder: string): Promise<void> {
  await rm(stateOf(folder), { recursive: true });
}

/** A request of the daemon to its bucket, and how far it gets before the daemon dies. */
export interface Moment {
  fault: FaultName;
  matches: Matches;
}

export const BETWEEN_OBJECT_AND_RECORD: Moment = { fault: 'stall', matches: requestsOf('metadata', 'PUT') };

/** Saves through a daemon that is killed at that moment; resolves with the filename that the image would have had. */
export async function killDuringSave(
  server: S3FaultServer,
  folder: string,
  { bytes, metadata, options }: TestImage,
  { fault, matches }: Moment,
): Promise<string> {
  const daemon = await startBucketDaemon(server.settings, folder);
  const client = connect(daemon.address, { retries: 0 });
  const reached = server.breakNext(fault, matches);
  const save = client.save(bytes, metadata, options).catch(() => {});
  const { key } = await reached;
  await daemon.stop('SIGKILL');
  await save;
  client.close();
  return key.slice(key.lastIndexOf('/') + 1).replace(/\.json$/, '');
}

/** Leaves the object of an image without its record, and nobody who remembers it; resolves with its key. */
export async function leaveObjectWithoutRecord(
  server: S3FaultServer,
  folder: string,
  image: TestImage,
): Promise<string> {
  const filename = await killDuringSave(server, folder, image, BETWEEN_OBJECT_AND_RECORD);
  await loseState(folder);
  return imageKey(filename);
}

export function stateOf(folder: string): string {
  return join(folder, 'state');
}
