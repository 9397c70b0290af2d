/** Retention under wrong clocks and wrong dates: what is dated after now, and cutoffs by age or beyond now. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createStorage, type Instant, type Storage } from '../../src/storage/index.ts';
import { pngOf } from '../support/images.ts';

const NOW = Date.UTC(2026, 10, 29, 12);
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const MODEL = 'flux-schnell';

/** A storage whose clock says NOW, with one image a day for so many days up to yesterday in each provider. */
async function openStorage(days: number, providers: string[] = ['main']): Promise<Storage> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const settings = providers.map((name) => [name, { type: 'local', basePath: join(folder, name) }]);
  const config = { defaultProvider: 'main', providers: Object.fromEntries(settings) };
  const storage = await createStorage(config, { now: () => NOW });
  onTestFinished(async () => {
    await storage.close();
    await rm(folder, { recursive: true });
  });
  await Promise.all(
    providers.flatMap((provider) => upTo(days).map((age) => save(storage, NOW - age * DAY, { provider }))),
  );
  return storage;
}

function save(storage: Storage, timestamp: number, options: { provider?: string; pinned?: boolean } = {}) {
  const metadata = { prompt: '', model: MODEL, timestamp: new Date(timestamp) };
  return storage.save(pngOf({ width: 4, height: 4 }), metadata, options);
}

/** The ages in days of what is left, the newest first; negative ones are dated after now. */
async function daysLeft(storage: Storage): Promise<number[]> {
  return (await storage.list()).map(({ metadata }) => (NOW - metadata.timestamp.getTime()) / DAY);
}

const upTo = (days: number) => Array.from({ length: days }, (_, at) => at + 1);

it('13 images dated 2099 cost no other image its place among the newest', async () => {
  const storage = await openStorage(100);
  for (let at = 0; at < 13; at += 1) await save(storage, Date.UTC(2099, 0, 1 + at), { pinned: at === 0 });
  const { plan: _, ...plan } = await storage.cleanup({ keepCount: 10, dryRun: true });
  expect(plan).toMatchObject({ deletedCount: 90, keptPinned: 0, keptFuture: 13 });
  expect({ ...plan, dryRun: false }).toEqual(await storage.cleanup({ keepCount: 10 }));
  const left = await daysLeft(storage);
  expect(left.slice(0, 13).every((days) => days < 0)).toBe(true);
  expect(left.slice(13)).toEqual(upTo(10));
});

it('an image dated after now uses none of the bytes to keep', async () => {
  const storage = await openStorage(3);
  const { size } = await save(storage, NOW + 1);
  expect(await storage.cleanup({ keepBytes: 2 * size })).toMatchObject({ deletedCount: 1, keptFuture: 1 });
  expect((await daysLeft(storage)).slice(1)).toEqual([1, 2]);
});

it('an image dated after now goes by no criterion, and counts once its time has come', async () => {
  const storage = await openStorage(1);
  await save(storage, NOW);
  await save(storage, NOW + 1);
  expect(await storage.cleanup({ keepCount: 0, model: MODEL })).toMatchObject({ deletedCount: 2, keptFuture: 1 });
  expect(await storage.cleanup({ keepCount: 0, model: 'another' })).toMatchObject({ deletedCount: 0, keptFuture: 0 });
  expect(await daysLeft(storage)).toHaveLength(1);
});

it('over all providers each spares its own, and the answer counts them all', async () => {
  const storage = await openStorage(3, ['main', 'other']);
  await save(storage, NOW + DAY);
  await save(storage, NOW + DAY, { provider: 'other' });
  const result = await storage.cleanup({ provider: '*', keepCount: 1 });
  expect(result).toMatchObject({ deletedCount: 4, keptFuture: 2 });
});

it.each<[string, Instant]>([
  ['an age', { ageMs: 2 * DAY }],
  ['an age in words', '2d'],
])('%s is resolved by the clock of the storage', async (_, olderThan) => {
  const storage = await openStorage(4);
  expect(await storage.cleanup({ olderThan })).toMatchObject({ deletedCount: 2 });
  expect(await daysLeft(storage)).toEqual(upTo(2));
});

it.each<[string, Instant]>([
  ['a date', new Date(NOW + 5 * MINUTE + 1)],
  ['a date in words', '2036-11-29'],
  ['an age', { ageMs: -5 * MINUTE - 1 }],
])('%s more than five minutes after now is refused as a cutoff', async (_, olderThan) => {
  const storage = await openStorage(2, ['main', 'other']);
  for (const provider of ['main', '*']) {
    const refused = expect.objectContaining({ reason: 'FIELD_INVALID', field: 'older_than' });
    await expect(storage.cleanup({ provider, olderThan })).rejects.toEqual(refused);
  }
  expect(await daysLeft(storage)).toHaveLength(2);
});

it('a cutoff up to five minutes after now is read as now', async () => {
  const storage = await openStorage(3);
  await save(storage, NOW);
  await save(storage, NOW + 4 * MINUTE);
  const result = await storage.cleanup({ olderThan: new Date(NOW + 5 * MINUTE) });
  expect(result).toMatchObject({ deletedCount: 3, keptFuture: 1 });
  expect(await daysLeft(storage)).toHaveLength(2);
});

it.each([undefined, Number.NaN, '30d'])('an age of %s is refused', async (ageMs) => {
  const storage = await openStorage(0);
  const cleanup = storage.cleanup({ olderThan: { ageMs: ageMs as number } });
  await expect(cleanup).rejects.toMatchObject({ reason: 'FIELD_INVALID', field: 'older_than' });
});
