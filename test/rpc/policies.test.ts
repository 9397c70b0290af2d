/** Retention policies of a daemon: its statistics show what they would delete, and a call runs one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { openStorage } from '../../src/storage/storage.ts';
import { all, outcomeOf, saveAt, storageAt } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

const DAY = 24 * 60 * 60 * 1000;
const PNG = pngOf({ width: 4, height: 4 });

let folder: string;
let daemon: RunningDaemon;
let storage: ReturnType<typeof storageAt>;

/** A daemon over a store with images of 1 to 5 days, which came then. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const archive = { type: 'local', basePath: folder };
  for (let age = 5; age > 0; age -= 1) {
    const earlier = await openStorage({ providers: { archive } }, { now: () => Date.now() - age * DAY - 1000 });
    await earlier.save(PNG, { prompt: '', model: 'flux-schnell' });
    await earlier.close();
  }
  daemon = await runDaemon({
    IMAGE_STORAGE_PROVIDERS_ARCHIVE_TYPE: 'local',
    IMAGE_STORAGE_PROVIDERS_ARCHIVE_BASE_PATH: folder,
    IMAGE_STORAGE_RETENTION_DRAFTS_PROVIDER: 'archive',
    IMAGE_STORAGE_RETENTION_DRAFTS_KEEP_WITHIN: '3d',
    IMAGE_STORAGE_RETENTION_DRAFTS_KEEP_DAILY: '1',
    IMAGE_STORAGE_RETENTION_DRAFTS_GROUP_BY: 'model',
  });
  storage = storageAt(daemon.address);
});
afterEach(async () => {
  await daemon.close();
  await rm(folder, { recursive: true });
});

it('a policy is announced in the statistics of its provider, and runs when a call asks for it', async () => {
  const policiesOf = async (provider: string) => (await storage.stats({ provider })).providers[0]!.policies;
  const announced = { name: 'drafts', announced: true, lastCount: 3n, lastBytes: BigInt(3 * PNG.length) };
  await vi.waitFor(async () => expect(await policiesOf('archive')).toMatchObject([announced]), { timeout: 10_000 });
  const [policy] = await policiesOf('archive');
  expect(policy!.nextRun!.seconds - policy!.lastRun!.seconds).toBe(86_400n);
  expect(await policiesOf('local')).toEqual([]);

  await saveAt(daemon.address, PNG, { provider: 'archive', metadata: { timestamp: { seconds: 0n } } });
  const plan = await storage.cleanup({ policy: 'drafts', dryRun: true });
  const text = 'older than 3d, not the newest of one of the last 1 days of flux-schnell';
  expect(plan).toMatchObject({ deletedCount: 3n, reasons: [{ text, count: 3n }] });
  expect(await storage.cleanup({ policy: 'drafts', maxDeletes: 1 })).toMatchObject({ deletedCount: 1n, more: true });
  expect(await storage.cleanup({ policy: 'drafts' })).toMatchObject({
    deletedCount: 2n,
    filenames: plan.filenames.slice(1),
  });
  expect((await all(storage.list({ provider: 'archive' }))).flatMap(({ images }) => images)).toHaveLength(3);
});

it('a policy is known by its name, and has its own filters and criteria', async () => {
  expect(await outcomeOf(storage.cleanup({ policy: 'draft' }))).toBe('NotFound POLICY_NOT_FOUND policy');
  const seconds = { seconds: 1n };
  const outcomes = [
    { provider: 'archive' },
    { olderThan: seconds },
    { keepCount: 0 },
    { keepBytes: 1n },
    { model: 'm' },
    { category: 'c' },
    { olderThanAge: seconds },
  ].map((beside) => outcomeOf(storage.cleanup({ policy: 'drafts', ...beside })));
  const fields = ['provider', 'older_than', 'keep_count', 'keep_bytes', 'model', 'category', 'older_than'];
  expect(await Promise.all(outcomes)).toEqual(fields.map((field) => `InvalidArgument FIELD_INVALID ${field}`));
});
