/** Plans of selections: nothing that came or changed since goes, by whatever way, over providers and daemons. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { RecentChanges } from '../../src/storage/catalog/recent-changes.ts';
import type { Storage, StorageConfig, StorageItem } from '../../src/storage/index.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { openStorage, type Surroundings } from '../../src/storage/storage.ts';
import { pngOf } from '../support/images.ts';

const MINUTE = 60_000;
const T0 = Date.UTC(2026, 10, 1);
const EXPIRED = { code: 'failed_precondition', reason: 'PLAN_EXPIRED' };

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

async function open(config: StorageConfig, surroundings: Surroundings = {}): Promise<Storage> {
  const storage = await openStorage(config, surroundings);
  onTestFinished(() => storage.close());
  return storage;
}

/** A folder and a bucket, which others may write to, too. */
async function openBoth(bucket: MemoryBucket = new Map(), surroundings?: Surroundings) {
  const folder = await newFolder();
  const shared = { type: 'memory', bucket, stateDir: join(folder, 'state'), shared: true, trash: { days: 1 } };
  const providers = { main: { type: 'local', basePath: join(folder, 'main') }, other: shared };
  const storage = await open({ defaultProvider: 'main', providers }, surroundings);
  return { storage, folder };
}

const save = (storage: Storage, number: number, provider = 'main') =>
  storage.save(
    pngOf({ width: 4, height: 4, seed: number }),
    { prompt: `number ${number}`, model: 'm', tags: ['junk'], timestamp: new Date(T0 + number * MINUTE) },
    { provider },
  );

const all = { tags: ['junk'] };
const namesOf = (items: { filename: string }[]) => items.map(({ filename }) => filename).sort();

async function planned(storage: Storage, provider: string): Promise<Uint8Array> {
  return (await storage.cleanup({ provider, selection: all, dryRun: true })).plan!;
}

it('spares what was saved, copied, adopted, restored, or learnt of another daemon since its plan', async () => {
  const bucket: MemoryBucket = new Map();
  const [{ storage, folder }, { storage: daemon }] = [await openBoth(bucket), await openBoth(bucket)];
  const [kept, ...gone] = [await save(storage, 1), await save(storage, 2), await save(storage, 3)];
  const inBucket: StorageItem[] = [];
  for (const number of [11, 12, 13, 14]) inBucket.push(await save(storage, number, 'other'));
  const [tagged, pinned, ...goneThere] = inBucket;
  await storage.delete(kept!.filename);
  const plan = await planned(storage, '*');

  await storage.restore(kept!.filename);
  await save(storage, -5);
  for await (const _ of storage.copy({ from: 'other', to: 'main' }));
  const orphan = join(folder, 'main/images/generations/2026-10-31/m/20261031_120000_m_zzzzzz.png');
  await mkdir(dirname(orphan), { recursive: true });
  await writeFile(orphan, pngOf({ width: 6, height: 6 }));
  for await (const _ of storage.verify({ provider: 'main', repair: true }));
  await daemon.update(tagged!.filename, { addTags: ['mine'] }, { provider: 'other' });
  await daemon.update(pinned!.filename, { pinned: true }, { provider: 'other' });
  await save(daemon, 15, 'other');
  expect(await storage.list({ provider: 'main' })).toHaveLength(2 + 1 + 1 + 4 + 1);

  const result = await storage.cleanup({ provider: '*', selection: { ...all, plan } });
  expect(namesOf(result.filenames.map((filename) => ({ filename })))).toEqual(namesOf([...gone, ...goneThere]));
  // One restored, one saved and four copied; one tagged, one saved elsewhere. What was adopted has no tag.
  expect(result).toMatchObject({ deletedCount: 4, keptChanged: 8, keptPinned: 1, more: false });
  expect(await storage.list({ provider: '*' })).toHaveLength(1 + 1 + 1 + 4 + 3);
});

it.each(['main', 'other'])('never takes an image of %s that was updated meanwhile', async (provider) => {
  const { storage } = await openBoth();
  const saved = await Promise.all(Array.from({ length: 40 }, (_, number) => save(storage, number, provider)));
  const plan = await planned(storage, provider);
  const update = (filename: string) => storage.update(filename, { addTags: ['mine'] }, { provider });
  const updates = saved.map(({ filename }) => update(filename).then(() => filename, notFound));
  const { filenames } = await storage.cleanup({ provider, selection: { ...all, plan } });
  const updated = (await Promise.all(updates)).filter((filename) => filename !== undefined);
  const mine = await storage.list({ provider, tags: ['mine'] });
  expect(namesOf(mine)).toEqual([...updated].sort());
  expect(filenames.length + updated.length).toBe(40);
});

it('is refused an hour after its plan, whatever the clock on the wall says', async () => {
  const clocks = { wall: T0 + 1000 * MINUTE, passed: 0 };
  const { storage } = await openBoth(new Map(), { now: () => clocks.wall, elapsed: () => clocks.passed });
  const [first] = [await save(storage, 1), await save(storage, 2, 'other')];
  const plans = { main: await planned(storage, 'main'), '*': await planned(storage, '*') };
  clocks.wall += 600 * MINUTE;
  clocks.passed += 60 * MINUTE;
  const carryOut = (provider: 'main' | '*') =>
    storage.cleanup({ provider, selection: { ...all, plan: plans[provider] } });
  expect(await carryOut('main')).toMatchObject({ filenames: [first!.filename] });
  clocks.passed += 1;
  for (const provider of ['main', '*'] as const) await expect(carryOut(provider)).rejects.toMatchObject(EXPIRED);
  expect(await storage.list({ provider: '*' })).toHaveLength(1);
});

it('deletes nothing over several providers unless the plan of each is current', async () => {
  const { storage } = await openBoth();
  await save(storage, 1);
  await save(storage, 2, 'other');
  const text = Buffer.from(await planned(storage, '*')).toString();
  const index = /"other":"(?:[^"\\]|\\"|\\\\)*?([0-9a-f]{8}-[0-9a-f-]{27})/.exec(text)![1]!;
  const plan = Buffer.from(text.replace(index, crypto.randomUUID()));
  const refused = storage.cleanup({ provider: '*', selection: { ...all, plan } });
  await expect(refused).rejects.toMatchObject({ reason: 'PLAN_EXPIRED', message: expect.stringContaining('other: ') });
  expect(await storage.list({ provider: '*' })).toHaveLength(2);
});

it('takes a plan over all providers for one of them, and none of one for another', async () => {
  const { storage } = await openBoth();
  const first = await save(storage, 1);
  await save(storage, 2, 'other');
  const plans = { all: await planned(storage, '*'), other: await planned(storage, 'other') };
  for (const provider of ['main', '*']) {
    const refused = storage.cleanup({ provider, selection: { ...all, plan: plans.other } });
    await expect(refused).rejects.toMatchObject({ reason: 'FIELD_INVALID', field: 'selection.plan' });
  }
  const { filenames } = await storage.cleanup({ provider: 'main', selection: { ...all, plan: plans.all } });
  expect(filenames).toEqual([first.filename]);
});

it('goes beside no policy', async () => {
  const folder = await newFolder();
  const providers = { main: { type: 'local', basePath: folder } };
  const storage = await open({ defaultProvider: 'main', providers, retention: { few: { keepLast: 1 } } });
  const both = storage.cleanup({ policy: 'few', selection: all });
  await expect(both).rejects.toMatchObject({ reason: 'FIELD_INVALID', field: 'selection' });
});

it('an index remembers its last 20,000 changes, and knows no moment of before them or of another one', () => {
  const recent = new RecentChanges();
  const change = (number: number) => {
    const [update, done] = [{ kind: 'update', filename: `${number}`, changes: {}, above: 0, time: 0 }, { done: true }];
    recent.note([update] as never, [done] as never);
  };
  const moments = [recent.momentAt(7)];
  change(-1);
  for (let number = 0; number < 20_000; number += 1) change(number % 10_000);
  moments.push(recent.momentAt(7));
  expect(moments.map((moment) => recent.remembers(moment))).toEqual([true, true]);
  for (let number = 10_000; number < 20_000; number += 1) change(number);
  expect(moments.map((moment) => recent.remembers(moment))).toEqual([false, true]);
  expect(recent.isChangedSince('9999', moments[1]!)).toBe(false);
  expect(recent.isChangedSince('10000', moments[1]!)).toBe(true);
  recent.noteMany();
  expect(recent.remembers(moments[1]!)).toBe(false);
  expect(new RecentChanges().remembers(recent.momentAt(7))).toBe(false);
});

function notFound(error: unknown): undefined {
  expect(error).toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
}
