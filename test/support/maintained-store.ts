/** Stores of every kind, opened to be damaged behind their back and verified. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Finding, VerifyOptions, VerifySummary } from '../../src/storage/domain/maintenance.ts';
import type { ProviderChoice, ProviderSettings, S3Config, Storage, StorageProvider } from '../../src/storage/index.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { s3Objects } from '../../src/storage/s3/objects.ts';
import { openStorage, type Surroundings } from '../../src/storage/storage.ts';
import { type Hands, handsOnBucket, handsOnFolder, handsOnObjects } from './behind-the-back.ts';

export interface MaintainedStore {
  /** Its one provider is `main`. The storage that was opened last. */
  readonly storage: Storage;
  readonly hands: Hands;
  /** Of the local store, or of the state of a bucket. */
  readonly folder: string;
  /** How far its clock is ahead. */
  aheadMs: number;
  close(): Promise<void>;
  open(dependencies?: Surroundings): Promise<Storage>;
}

interface Place {
  settings: ProviderSettings;
  hands: Hands;
}

/** It goes with the test. */
async function openMaintained(placeOf: (folder: string) => Place): Promise<MaintainedStore> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const { settings, hands } = placeOf(folder);
  const config = { defaultProvider: 'main', providers: { main: { ...settings, lockWaitSeconds: 1 } } };
  let storage: Storage | undefined;
  const store = {
    hands,
    folder,
    aheadMs: 0,
    get storage() {
      return storage!;
    },
    close: async () => storage?.close(),
    async open(dependencies: Surroundings = {}) {
      const clocks = { now: () => Date.now() + store.aheadMs, elapsed: () => performance.now() + store.aheadMs };
      storage = await openStorage(config, { ...clocks, ...dependencies });
      return storage;
    },
  };
  onTestFinished(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  await store.open();
  return store;
}

export function openFolder(): Promise<MaintainedStore> {
  return openMaintained((basePath) => ({ settings: { type: 'local', basePath }, hands: handsOnFolder(basePath) }));
}

export function openMemoryBucket(): Promise<MaintainedStore> {
  const bucket: MemoryBucket = new Map();
  const hands = handsOnBucket(bucket);
  return openMaintained((stateDir) => ({ settings: { type: 'memory', bucket, stateDir }, hands }));
}

/** A bucket of a server. */
export function openS3Bucket(bucket: S3Config): Promise<MaintainedStore> {
  const objects = s3Objects(bucket);
  onTestFinished(() => objects.close?.());
  const hands = handsOnObjects(objects);
  return openMaintained((stateDir) => ({ settings: { ...bucket, stateDir }, hands }));
}

/** All findings of a whole run, and its summary. */
export async function verified(
  storage: Pick<StorageProvider, 'verify'>,
  options: VerifyOptions & ProviderChoice = {},
): Promise<{ findings: Finding[]; summary: VerifySummary }> {
  const findings: Finding[] = [];
  for await (const event of storage.verify(options)) {
    if (event.kind === 'finding') findings.push(event.finding);
    else if (event.kind === 'summary') return { findings, summary: event.summary };
  }
  throw new Error('the run ended without its summary');
}
