/** Policies and times to live that run by themselves, on a folder and on a bucket, by clocks that the test turns. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { AnyProviderConfig, PolicySettings } from '../../src/storage/domain/config.ts';
import type { PolicyStatistics, SaveOptions, Storage } from '../../src/storage/index.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { pngOf } from '../support/images.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const T0 = Date.UTC(2026, 10, 30, 12);
/** The schedule looks once a second. */
const SOON = { timeout: 10_000, interval: 50 };

/** The clocks of a machine: what it shows, and what has passed. */
class Clocks {
  wall: number = T0;
  passed = 0;

  /** Both, in steps of an hour at most, as a machine that runs. */
  pass(ms: number): void {
    this.wall += ms;
    this.passed += ms;
  }
}

interface Run {
  folder: string;
  clocks: Clocks;
  logged: { facts: Record<string, unknown>; message: string }[];
  open(retention?: Record<string, PolicySettings>): Promise<Storage>;
}

type Settings = (folder: string) => AnyProviderConfig;

/** `settings`: those of the provider, which is the only one. */
async function prepare(settings: Settings): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const clocks = new Clocks();
  const logged: Run['logged'] = [];
  const note = (facts: object, message: string) => void logged.push({ facts: { ...facts }, message });
  const log = { debug: note, info: note, warn: note, error: note };
  let storage: Storage | undefined;
  onTestFinished(async () => {
    await storage?.close();
    await rm(folder, { recursive: true });
  });
  return {
    folder,
    clocks,
    logged,
    async open(retention = {}) {
      await storage?.close();
      const config = { providers: { main: settings(folder) }, retention };
      storage = await openStorage(config, { log, now: () => clocks.wall, elapsed: () => clocks.passed });
      return storage;
    },
  };
}

function memory(): Settings {
  const bucket = new Map();
  return (folder) => ({ type: 'memory', bucket, stateDir: join(folder, 'state') });
}

const PROVIDERS: [name: string, settings: () => Settings][] = [
  ['local', () => (folder) => ({ type: 'local', basePath: join(folder, 'outputs') })],
  ['memory', memory],
];

/** Folders have a trash of themselves. */
function withTrash(settings: Settings): Settings {
  return (folder) => ({ ...settings(folder), trash: { days: 7 } });
}

let seeds = 0;
function save(storage: Storage, ageMs: number, options?: SaveOptions) {
  seeds += 1;
  const metadata = { prompt: '', model: 'flux-schnell', timestamp: new Date(T0 - ageMs) };
  return storage.save(pngOf({ width: 4, height: 4, seed: seeds }), metadata, options);
}

async function policyOf(storage: Storage): Promise<PolicyStatistics> {
  return (await storage.getStatistics())[0]!.policies[0]!;
}

function becomes(storage: Storage, expected: Partial<PolicyStatistics>): Promise<void> {
  return vi.waitFor(async () => expect(await policyOf(storage)).toMatchObject(expected), SOON);
}

function lineOf(logged: Run['logged'], beginning: string) {
  const line = logged.find(({ message }) => message.startsWith(beginning));
  expect(line).toBeDefined();
  return line;
}

const countOf = async (storage: Storage) => (await storage.list()).length;
/** Longer than the schedule waits until it looks. */
const looked = () => new Promise((resolve) => setTimeout(resolve, 1200));

describe.each(PROVIDERS)('%s', (_, settingsOf) => {
  const THREE = { drafts: { keepLast: 3 } };

  it('a policy says for a day what would go, and then it goes; a change begins anew', async () => {
    const { clocks, logged, open } = await prepare(settingsOf());
    const empty = await open();
    for (let age = 1; age <= 6; age += 1) await save(empty, age * DAY, { pinned: age === 6 });
    await save(empty, -30 * DAY);
    clocks.pass(25 * HOUR);
    let storage = await open(THREE);
    await becomes(storage, { announced: true, lastCount: 2, nextRun: new Date(clocks.wall + DAY) });
    const plan = await vi.waitFor(() => lineOf(logged, 'the policy drafts would delete 2 images'), SOON);
    expect(plan?.facts).toMatchObject({ provider: 'main', policy: 'drafts', count: 2, keptPinned: 1 });
    expect(plan?.facts.reasons).toMatchObject([{ text: 'not among the last 3', count: 2 }]);
    clocks.pass(DAY - HOUR);
    await looked();
    expect(await countOf(storage)).toBe(7);
    clocks.pass(HOUR);
    await becomes(storage, { announced: false, lastCount: 2, lastRun: new Date(clocks.wall) });
    expect(await countOf(storage)).toBe(5);

    // A start knows what was announced and what ran; a change is announced again.
    storage = await open(THREE);
    expect(await policyOf(storage)).toMatchObject({ announced: false, lastCount: 2 });
    storage = await open({ drafts: { keepLast: 1 } });
    await becomes(storage, { announced: true, lastCount: 2 });
    expect(await countOf(storage)).toBe(5);
  });

  it('a call runs a policy at once, on what did not come within a day', async () => {
    const { clocks, open } = await prepare(settingsOf());
    const storage = await open({ drafts: { keepWithin: '30d' } });
    await save(storage, 40 * DAY);
    clocks.pass(25 * HOUR);
    await save(storage, 40 * DAY);
    const plan = await storage.cleanup({ policy: 'drafts', dryRun: true });
    expect(plan).toMatchObject({ deletedCount: 1, reasons: [{ text: 'older than 30d', count: 1 }] });
    expect(await storage.cleanup({ policy: 'drafts' })).toEqual({ ...plan, dryRun: false });
    expect(await countOf(storage)).toBe(1);
    const unknown = storage.cleanup({ policy: 'draft' });
    await expect(unknown).rejects.toMatchObject({ reason: 'POLICY_NOT_FOUND', field: 'policy' });
    for (const beside of [
      { keepCount: 1 },
      { olderThan: '1d' },
      { model: 'm' },
      { category: 'c' },
      { provider: 'main' },
    ]) {
      const both = storage.cleanup({ policy: 'drafts', ...beside });
      await expect(both).rejects.toMatchObject({ reason: 'FIELD_INVALID' });
    }
  });

  it('what was restored or unpinned stays for a day, and a restored one has no time any more', async () => {
    const { clocks, open } = await prepare(withTrash(settingsOf()));
    const storage = await open({ drafts: { keepWithin: '30d' } });
    const [restored, unpinned] = [
      await save(storage, 40 * DAY, { ttlMs: 48 * HOUR }),
      await save(storage, 40 * DAY, { pinned: true }),
    ];
    clocks.pass(25 * HOUR);
    const plan = async () => (await storage.cleanup({ policy: 'drafts', dryRun: true })).filenames;
    expect(await plan()).toEqual([restored.filename]);
    expect(await storage.cleanup({ policy: 'drafts' })).toMatchObject({ deletedCount: 1, keptPinned: 1 });
    expect((await storage.restore(restored.filename)).expireTime).toBeUndefined();
    await storage.update(unpinned.filename, { pinned: false });
    clocks.pass(23 * HOUR);
    expect(await plan()).toEqual([]);
    clocks.pass(2 * HOUR);
    expect((await plan()).sort()).toEqual([restored.filename, unpinned.filename].sort());
  });

  it('an image with a ttl goes after a day at the earliest, and none that is pinned', async () => {
    const { clocks, open } = await prepare(settingsOf());
    const storage = await open();
    await save(storage, 0, { ttlMs: HOUR });
    const pinned = await save(storage, 0, { ttlMs: HOUR, pinned: true });
    const late = await save(storage, 0, { ttlMs: 3 * DAY });
    clocks.pass(DAY - HOUR);
    await looked();
    expect(await countOf(storage)).toBe(3);
    clocks.pass(2 * HOUR);
    await vi.waitFor(async () => expect(await countOf(storage)).toBe(2), SOON);
    const left = (await storage.list()).map(({ filename }) => filename);
    expect(left.sort()).toEqual([pinned.filename, late.filename].sort());
  });
});

it('nothing goes within an hour of a start, nor of a jump of the clock', async () => {
  const { clocks, open } = await prepare(memory());
  let storage = await open({ drafts: { keepLast: 1, delay: '0m' } });
  for (let age = 1; age <= 3; age += 1) await save(storage, age * DAY);
  clocks.pass(25 * HOUR);
  storage = await open({ drafts: { keepLast: 1, delay: '0m' } });
  await becomes(storage, { announced: true, lastCount: 2 });
  clocks.pass(30 * MINUTE);
  clocks.wall += 10 * MINUTE;
  await looked();
  clocks.pass(45 * MINUTE);
  await looked();
  expect(await countOf(storage)).toBe(3);
  clocks.pass(15 * MINUTE);
  await becomes(storage, { announced: false, lastCount: 2 });
  expect(await countOf(storage)).toBe(1);
});

it('two daemons on one bucket run a policy once in its time', async () => {
  const settings = memory();
  const shared = (state: string) => (folder: string) => ({ ...settings(join(folder, state)), shared: true });
  const [one, other] = [await prepare(shared('one')), await prepare(shared('other'))];
  const policies = { drafts: { keepLast: 1, delay: '0m', every: '3h' } };
  const storages = [await one.open(policies), await other.open(policies)];
  for (let age = 1; age <= 3; age += 1) await save(storages[0]!, age * DAY);
  for (const { clocks } of [one, other]) clocks.pass(25 * HOUR);
  await Promise.all(storages.map((storage) => becomes(storage, { announced: false })));
  const runs = () => [...one.logged, ...other.logged].filter(({ message }) => message.includes('drafts deleted'));
  await vi.waitFor(() => expect(runs()).toHaveLength(1), SOON);
  await looked();
  expect(runs()).toHaveLength(1);
});

describe('what was restored a moment ago', () => {
  const OLD = { old: { keepWithin: '1d' } };

  async function restored() {
    const run = await prepare(PROVIDERS[0]![1]());
    const storage = await run.open(OLD);
    const { filename } = await save(storage, 40 * DAY);
    run.clocks.pass(2 * DAY);
    await storage.delete(filename);
    await storage.restore(filename);
    return { ...run, storage };
  }

  it('is spared by a policy, also when the clock jumped ahead and back', async () => {
    const { clocks, storage } = await restored();
    clocks.wall += 2 * DAY;
    // Longer than upkeep waits.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    clocks.wall -= 2 * DAY;
    expect((await storage.cleanup({ policy: 'old' })).deletedCount).toBe(0);
  });

  it('is spared by a policy, also when the catalog was built again', async () => {
    const { clocks, folder, open, storage } = await restored();
    await storage.close();
    await rm(join(folder, 'outputs/metadata/catalog.db'));
    const rebuilt = await open(OLD);
    expect((await rebuilt.cleanup({ policy: 'old' })).deletedCount).toBe(0);
    clocks.pass(DAY);
    expect((await rebuilt.cleanup({ policy: 'old' })).deletedCount).toBe(1);
  });
});
