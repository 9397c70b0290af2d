/** A crash after every step of the store's protocol: whatever was acknowledged is there, nothing half is seen. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Storage } from '../../src/storage/index.ts';
import { brokenPromises, openStore } from '../support/check-store.ts';
import { filesBelow, loseCatalog } from '../support/files.ts';
import { imageOf, Ledger } from '../support/ledger.ts';
import { random } from '../support/load.ts';
import { full, seed } from '../support/scale.ts';
import { type ForkedStore, forkStore, ProcessGone } from './forked-store.ts';
import type { StoreProcessOptions } from './store-process.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 10 * 60_000;
const AT_ONCE = 4;
/** Times at which a step is crashed at: the chunks of a large image are all alike. */
const MOST_OF_A_STEP = 40;
/** Where a log of another moment goes. */
const LOG_ASIDE = 'metadata/catalog.db-wal.aside';

interface Scenario {
  name: string;
  /** What lies in the folder before; default nothing. */
  prepare?: (basePath: string, ledger: Ledger) => Promise<void>;
  /** What is done to the store while it crashes; starting and stopping it are part of every scenario. */
  act?: (store: ForkedStore, ledger: Ledger) => Promise<void>;
  shortIds?: string[];
  /** Steps that it must go through; a step that is renamed or forgotten shows here. */
  steps: string[];
  /** Unless all are wanted, the steps to crash at: at all others, another scenario does. Default: all. */
  own?: string[];
  /** Of deleted images that can be brought back. Unless all are wanted, the others delete for good. */
  trash?: true;
}

/** A scenario over a store that has a trash, or none. */
interface Case extends Scenario {
  hasTrash: boolean;
}

const SAME_SECOND = new Date(Date.UTC(2024, 8, 27, 14, 15, 22));
/** Here what is committed is in the log only. */
const CHECKPOINT = 'log-to-be-emptied';
const START = ['locked', 'format-read', CHECKPOINT, 'generation-raised', 'recovered'];
const SAVE = [
  'part-opened',
  'chunk-written',
  'bytes-synced',
  'linked',
  'record-staged',
  'folders-synced',
  'committed',
  'record-placed',
  'part-unlinked',
];
const UPDATE = ['update-staged', 'folders-synced', 'committed', 'update-synced', 'update-placed', 'updates-restored'];
const DELETE = ['folders-synced', 'committed', 'unlinked', 'unlinks-synced'];
const TRASH = ['folders-synced', 'committed', 'record-trashed', 'image-trashed', 'unlinks-synced'];
const RESTORE = [
  'restore-staged',
  'image-brought-back',
  'record-brought-back',
  'folders-synced',
  'committed',
  'update-synced',
  'update-placed',
];
const PURGE = ['committed', 'unlinked', 'unlinks-synced'];
/** The steps at which a crash leaves the files of one image in two places. */
const MIDDLES = ['record-trashed', 'image-trashed', 'restore-staged', 'image-brought-back', 'record-brought-back'];
const IN_THE_MIDDLE = full ? [...MIDDLES, 'unlinked', 'committed'] : [MIDDLES[seed % MIDDLES.length]!];
const RECOVERY = ['records-restored', 'staged-settled', 'unlinked', 'unlinks-synced'];
const CATCH_UP = ['deletes-taken-in', 'trash-taken-in', 'records-taken-in'];
const REBUILD = ['rebuilt', 'old-catalog-aside', 'new-catalog-in-place'];

const scenarios: Scenario[] = [
  {
    name: 'Save: with a key and again with it, without one, under a name that is taken and that was deleted',
    steps: [...START, ...SAVE],
    shortIds: ['aaaaaa', 'bbbbbb', 'aaaaaa', 'cccccc', 'aaaaaa', 'dddddd'],
    act: async (store, ledger) => {
      const { metadata } = imageOf(1);
      const { filename } = await ledger.save(store, imageOf(1, { sizeBytes: 20_000 }));
      await store.settled();
      await ledger.save(store, imageOf(1, { sizeBytes: 20_000 }));
      await ledger.save(store, { ...imageOf(2, { idempotencyKey: undefined, pinned: true }), metadata });
      await ledger.delete(store, filename);
      await ledger.save(store, { ...imageOf(3), metadata });
    },
  },
  {
    name: 'Save of images that are synced while they arrive',
    steps: [...SAVE, 'bytes-synced-early'],
    own: ['bytes-synced-early', 'bytes-synced', 'record-staged'],
    act: async (store, ledger) => {
      // Below 4 MiB: each is synced early once, however fast the disk is.
      await ledger.save(store, imageOf(1, { sizeBytes: 3_000_000 }));
      const [large, small] = [imageOf(2, { sizeBytes: 3_500_000 }), imageOf(3)];
      await Promise.all([ledger.save(store, large), ledger.save(store, small)]);
    },
  },
  {
    name: 'Save of a file that names its model, under a name that is taken',
    steps: ['part-opened', 'part-renamed', ...SAVE.slice(1)],
    own: ['part-renamed', 'record-staged'],
    shortIds: ['aaaaaa', 'aaaaaa', 'bbbbbb'],
    act: async (store, ledger) => {
      for (const number of [1, 2]) {
        const image = imageOf(number, { fileModel: 'inkwell' });
        await ledger.save(store, { ...image, metadata: { ...image.metadata, timestamp: SAME_SECOND } });
        await store.settled();
      }
    },
  },
  {
    name: 'Update: twice and once again, beside a save and a delete, and of an image that goes',
    steps: UPDATE,
    own: UPDATE,
    prepare: (basePath, ledger) => saveAll(basePath, ledger, 3),
    act: async (store, ledger) => {
      const [one, other, third] = ledger.live().map(({ filename }) => filename) as [string, string, string];
      await ledger.update(store, one, { pinned: true, addTags: ['a', 'b'], category: 'kept' });
      const last = { pinned: false, addTags: ['c'], removeTags: ['a', 'test'] };
      await ledger.update(store, one, last);
      await ledger.update(store, one, last);
      await ledger.update(store, third, { category: '' });
      await Promise.all([
        ledger.update(store, other, { addTags: ['beside'] }),
        ledger.save(store, imageOf(4)),
        ledger.delete(store, third),
      ]);
    },
  },
  {
    name: 'start after a crash with an update that is committed and not in its record',
    steps: [...START, 'updates-restored', 'staged-settled'],
    own: ['updates-restored', 'staged-settled', 'recovered'],
    prepare: async (basePath, ledger) => {
      await saveAll(basePath, ledger, 2);
      const crash = { step: 'update-synced', nth: 2 };
      const store = await forkStore({ basePath, ...trashOf(ledger), crash });
      const [one, other] = ledger.live();
      await ledger.update(store, one!.filename, { pinned: true, addTags: ['a'] });
      await Promise.allSettled([ledger.update(store, other!.filename, { category: 'kept', removeTags: ['test'] })]);
      expect(await store.ended).toBe('SIGKILL');
    },
  },
  {
    name: 'Delete',
    steps: DELETE,
    prepare: (basePath, ledger) => saveAll(basePath, ledger, 3),
    act: async (store, ledger) => {
      for (const { filename } of ledger.live().slice(0, 2)) await ledger.delete(store, filename);
    },
  },
  {
    name: 'Cleanup',
    steps: DELETE,
    own: ['committed', 'unlinked'],
    prepare: (basePath, ledger) => saveAll(basePath, ledger, 5),
    act: async (store, ledger) => {
      await ledger.cleanup(store, { keepCount: 1 });
    },
  },
  {
    name: 'start after a crash with images committed but not in place, deletes half done and uploads under way',
    steps: [...START, ...RECOVERY],
    own: [...RECOVERY, CHECKPOINT, 'recovered'],
    prepare: (basePath, ledger) => crashUnderLoad(basePath, ledger, { step: 'committed', nth: 3 }),
  },
  {
    name: 'start after a crash with images linked but not committed',
    steps: [...START, 'staged-settled'],
    own: ['staged-settled', CHECKPOINT, 'recovered'],
    prepare: (basePath, ledger) => crashUnderLoad(basePath, ledger, { step: 'record-staged', nth: 3 }),
  },
  {
    name: 'start with a catalog that is older than its folder, after a crash under load',
    steps: [...START, ...CATCH_UP, 'staged-settled'],
    own: [...CATCH_UP, 'staged-settled', 'generation-raised', 'recovered'],
    prepare: async (basePath, ledger) => {
      await saveAll(basePath, ledger, 4);
      const older = join(folder, 'older-catalog.db');
      await copyFile(join(basePath, 'metadata/catalog.db'), older);
      await crashUnderLoad(basePath, ledger, { step: 'record-placed', nth: 2 });
      await loseCatalog(basePath);
      await copyFile(older, join(basePath, 'metadata/catalog.db'));
    },
  },
  {
    name: 'rebuild of a lost catalog',
    steps: [...START, ...REBUILD, 'staged-settled', 'unlinked'],
    own: [...REBUILD, 'staged-settled', 'unlinked', 'recovered'],
    prepare: async (basePath, ledger) => {
      await crashUnderLoad(basePath, ledger, ledger.hasTrash ? IN_SECOND_TRASHING : { step: 'unlinked', nth: 6 });
      await loseCatalog(basePath);
    },
  },
  {
    name: 'Trash, Restore and Purge',
    trash: true,
    steps: [...TRASH, ...RESTORE, ...PURGE],
    own: [...TRASH, ...RESTORE, ...PURGE],
    prepare: (basePath, ledger) => saveAll(basePath, ledger, 4),
    act: async (store, ledger) => {
      const [one, other, third, fourth] = namesOf(ledger) as [string, string, string, string];
      await ledger.delete(store, one);
      await ledger.restore(store, one);
      // Its record need not be in its place yet.
      await ledger.update(store, one, { addTags: ['again'], category: 'kept' });
      await ledger.delete(store, one);
      await ledger.delete(store, other);
      await ledger.purge(store, other);
      await ledger.restore(store, one);
      await ledger.delete(store, third);
      await ledger.delete(store, third, { permanent: true });
      await ledger.delete(store, fourth, { permanent: true });
      await ledger.cleanup(store, { keepCount: 0 });
    },
  },
  {
    name: 'Trash, Restore and Purge of several images at once, beside saves and updates',
    trash: true,
    steps: [...TRASH, ...RESTORE, ...PURGE],
    own: ['image-trashed', 'image-brought-back', 'committed'],
    prepare: (basePath, ledger) => saveAll(basePath, ledger, 8),
    act: async (store, ledger) => {
      const [one, other, third] = namesOf(ledger) as [string, string, string];
      for (const filename of [one, other, third]) await ledger.delete(store, filename);
      await workAtOnce(store, ledger, 31);
      await workAtOnce(store, ledger, 41);
    },
  },
  ...IN_THE_MIDDLE.map(
    (step): Scenario => ({
      name: `start after a crash at ${step}, with trash, restores, purges, saves and updates under way`,
      trash: true,
      steps: [...START, 'unlinks-synced'],
      own: ['staged-settled', 'record-trashed', 'image-trashed', 'unlinks-synced'],
      prepare: async (basePath, ledger) => {
        await saveAll(basePath, ledger, 8);
        await crashAtWork(basePath, ledger, { step, nth: 2 });
      },
    }),
  ),
  {
    name: 'start with a catalog of between deletes, restores and purges',
    trash: true,
    steps: [...START, ...CATCH_UP],
    own: ['trash-taken-in', 'records-taken-in', 'record-trashed', 'unlinks-synced'],
    prepare: async (basePath, ledger) => {
      const older = await historyOfTrash(basePath, ledger);
      await loseCatalog(basePath);
      await copyFile(older, join(basePath, 'metadata/catalog.db'));
    },
  },
  {
    name: 'rebuild of a lost catalog with a trash',
    trash: true,
    steps: [...START, ...REBUILD],
    own: ['rebuilt', 'new-catalog-in-place', 'unlinks-synced'],
    prepare: async (basePath, ledger) => {
      await historyOfTrash(basePath, ledger);
      await loseCatalog(basePath);
    },
  },
];
/** The second delete is half done. */
const IN_SECOND_TRASHING = { step: 'record-trashed', nth: 2 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-crash-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const cases = scenarios.flatMap((scenario): Case[] => {
  if (!full) return [{ ...scenario, hasTrash: scenario.trash ?? false }];
  const withTrash = { ...scenario, hasTrash: true };
  return scenario.trash ? [withTrash] : [{ ...scenario, hasTrash: false }, withTrash];
});

describe.each(cases)('$name, with a trash: $hasTrash', (scenario) => {
  it(
    'keeps its promises wherever it crashes',
    async () => {
      const { template, ledger } = await templateOf(scenario);
      const steps = await stepsOf(scenario, template, ledger());
      expect(steps).toEqual(expect.arrayContaining(stepsWith(scenario)));
      const findings: string[] = [];
      const { own } = scenario;
      const wanted = full || own === undefined ? steps : steps.filter((step) => own.includes(step));
      const crashes = full || !scenario.trash ? crashesAt(wanted) : someCrashesAt(wanted);
      await inParallel(crashes, async (crash) => {
        const at = `${crash.step} (${crash.nth})${crash.catalogLost ? ', catalog lost' : ''}`;
        for (const finding of await crashAndCheck(scenario, template, ledger, crash))
          findings.push(`${at}: ${finding}`);
      });
      console.info(`crashes: ${crashes.length}`);
      expect(findings).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

/** A delete into the trash moves what one for good unlinks. */
function stepsWith({ steps, trash, hasTrash }: Case): string[] {
  if (!hasTrash || trash) return steps;
  return steps.flatMap((step) => (step === 'unlinked' ? ['record-trashed', 'image-trashed'] : [step]));
}

interface Crash {
  step: string;
  nth: number;
  /** Nobody but the records tells afterwards what was there. */
  catalogLost: boolean;
}

/**
 * Every step, each time it was reached; unless all are wanted, the first time, and the last one with the catalog lost,
 * and each checkpoint, since a start and a stop have theirs at the same step.
 */
function crashesAt(steps: string[]): Crash[] {
  const counts = [...Map.groupBy(steps, (step) => step)].map(([step, times]) => ({ step, count: times.length }));
  return counts.flatMap(({ step, count }) => {
    const stride = Math.ceil(count / MOST_OF_A_STEP);
    const each = Array.from({ length: count }, (_, index) => index + 1).filter(
      (nth) => nth % stride === 0 || nth === 1,
    );
    const crashes = each.flatMap((nth) => [false, true].map((catalogLost) => ({ step, nth, catalogLost })));
    if (full) return crashes;
    return step === CHECKPOINT ? crashes.filter(({ catalogLost }) => !catalogLost) : [crashes[0]!, crashes.at(-1)!];
  });
}

/** Every step once, at one of its times, with the catalog lost or not, by the seed. */
function someCrashesAt(steps: string[]): Crash[] {
  return [...Map.groupBy(steps, (step) => step)].map(([step, times]) => {
    const nth = 1 + Math.floor(random() * times.length);
    return { step, nth, catalogLost: step !== CHECKPOINT && random() < 0.5 };
  });
}

/** The folder and the ledger that every run of a scenario starts from. */
async function templateOf({ name, prepare, hasTrash }: Case): Promise<{ template: string; ledger: () => Ledger }> {
  const template = await mkdtemp(join(folder, name.slice(0, 20).replaceAll(/\W/g, '-')));
  const ledger = new Ledger({ trash: hasTrash });
  await prepare?.(template, ledger);
  return { template, ledger: () => ledger.copy() };
}

/** A run without a crash; everything must be right after it as well. */
async function stepsOf(scenario: Case, template: string, ledger: Ledger): Promise<string[]> {
  const basePath = await copyOf(template);
  const steps = await perform(scenario, basePath, ledger);
  expect(await brokenPromises(basePath, ledger)).toEqual([]);
  return steps;
}

async function crashAndCheck(
  scenario: Case,
  template: string,
  ledgerOf: () => Ledger,
  crash: Crash,
): Promise<string[]> {
  const [basePath, ledger] = [await copyOf(template), ledgerOf()];
  if (await survives(perform(scenario, basePath, ledger, crash))) {
    if (crash.nth === 1) return ['the step was not reached'];
    // What is asked for at once may share a commit in one run and not in the next: the last time came earlier.
    return crashAndCheck(scenario, template, ledgerOf, { ...crash, nth: crash.nth - 1 });
  }
  if (crash.catalogLost) await loseCatalog(basePath);
  const hadLog = existsSync(join(basePath, LOG_ASIDE));
  const unanswered = ledger.unanswered().filter(({ options }) => options.idempotencyKey !== undefined);
  const findings = await brokenPromises(basePath, ledger, {
    // What a caller does who got no answer: the same again, with the same key.
    afterwards: async (storage) => {
      for (const image of unanswered) await ledger.save(storage, image);
      await restoreSome(storage, ledger);
    },
  });
  if (!hadLog && existsSync(join(basePath, LOG_ASIDE))) findings.push('the log that a kill left was put aside');
  findings.push(...(await brokenPromises(basePath, ledger)).map((finding) => `after the retry: ${finding}`));
  await rm(basePath, { recursive: true });
  return findings;
}

/** Start, act and clean stop in a process of its own. */
async function perform(
  { act, shortIds = [] }: Scenario,
  basePath: string,
  ledger: Ledger,
  crash?: StoreProcessOptions['crash'],
): Promise<string[]> {
  const store = await forkStore({ basePath, shortIds, ...trashOf(ledger), ...(crash && { crash }) });
  await act?.(store, ledger);
  return store.close();
}

/** Without a trash every delete is for good. */
function trashOf({ hasTrash }: Ledger): Pick<StoreProcessOptions, 'trashDays'> {
  return hasTrash ? {} : { trashDays: 0 };
}

async function survives(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (error instanceof ProcessGone && error.how === 'SIGKILL') return false;
    throw error;
  }
}

/** What is in the trash can be brought back; the next check reads it. */
async function restoreSome(storage: Storage, ledger: Ledger): Promise<void> {
  for (const { filename } of ledger.trashed().slice(0, 2)) await ledger.restore(storage, filename);
}

async function saveAll(basePath: string, ledger: Ledger, count: number): Promise<void> {
  const storage = await openStore(basePath);
  for (let number = 1; number <= count; number += 1)
    await ledger.save(storage, imageOf(number, { pinned: number === 2 }));
  await storage.close();
}

/** A delete whose files are gone, then another with small and large saves at once: the crash finds each elsewhere. */
async function crashUnderLoad(basePath: string, ledger: Ledger, crash: { step: string; nth: number }): Promise<void> {
  await saveAll(basePath, ledger, 4);
  const store = await forkStore({ basePath, ...trashOf(ledger), crash });
  const saves = [11, 12, 13, 14, 15, 16, 17, 18].map((number) =>
    imageOf(number, { sizeBytes: number < 15 ? 8_000 : 3_000_000 }),
  );
  const [first, second] = ledger.live();
  await ledger.delete(store, first!.filename);
  const asked = [ledger.delete(store, second!.filename), ...saves.map((image) => ledger.save(store, image))];
  await Promise.allSettled(asked);
  expect(await store.ended).toBe('SIGKILL');
  expect((await filesBelow(basePath, 'metadata/staging')).length).toBeGreaterThan(1);
}

function namesOf(ledger: Ledger): string[] {
  return ledger.live().map(({ filename }) => filename);
}

/** Restores and purges of what is in the trash, two deletes, an update and two saves; all of them settle or fail alike. */
async function workAtOnce(store: ForkedStore, ledger: Ledger, from: number): Promise<void> {
  const trashed = ledger.trashed().map(({ filename }) => filename);
  const [one, other, third] = namesOf(ledger) as [string, string, string];
  const work = await Promise.allSettled([
    ...trashed.map((filename, at) => (at % 3 === 2 ? ledger.purge(store, filename) : ledger.restore(store, filename))),
    ledger.update(store, other, { addTags: [`tag${from}`], pinned: true }).then(() => ledger.delete(store, other)),
    ledger.delete(store, one),
    ledger.update(store, third, { category: `category ${from}` }),
    ledger.save(store, imageOf(from)).then(({ filename }) => ledger.delete(store, filename)),
    ledger.save(store, imageOf(from + 1, { sizeBytes: 300_000 })),
  ]);
  for (const each of work) if (each.status === 'rejected') throw each.reason;
}

/** Some images are in the trash already, and others were brought back. */
async function crashAtWork(basePath: string, ledger: Ledger, crash: { step: string; nth: number }): Promise<void> {
  const before = await forkStore({ basePath });
  for (const filename of namesOf(ledger).slice(0, 4)) await ledger.delete(before, filename);
  await ledger.restore(before, ledger.trashed()[0]!.filename);
  await before.close();
  const store = await forkStore({ basePath, crash });
  expect(await survives(workAtOnce(store, ledger, 31).then(() => workAtOnce(store, ledger, 41)))).toBe(false);
  expect(await store.ended).toBe('SIGKILL');
}

/**
 * Images whose delete, restore and purge came before and after a moment, each in its own way, and a crash at last. Returns
 * the catalog of that moment.
 */
async function historyOfTrash(basePath: string, ledger: Ledger): Promise<string> {
  await saveAll(basePath, ledger, 12);
  const [a, b, c, d, e, f, g, h, i, j] = namesOf(ledger) as [string, ...string[]] & Record<number, string>;
  const first = await forkStore({ basePath });
  for (const filename of [a, b, c, d, e, f]) await ledger.delete(first, filename!);
  for (const filename of [d, e]) await ledger.restore(first, filename!);
  await first.close();
  const older = join(await mkdtemp(join(folder, 'older-')), 'catalog.db');
  await copyFile(join(basePath, 'metadata/catalog.db'), older);
  const second = await forkStore({ basePath });
  await ledger.restore(second, a);
  await ledger.purge(second, b!);
  await ledger.restore(second, c!);
  await ledger.delete(second, c!);
  await ledger.delete(second, d!);
  await ledger.update(second, e!, { addTags: ['since'] });
  await ledger.delete(second, g!);
  await ledger.delete(second, h!);
  await ledger.restore(second, h!);
  await ledger.update(second, i!, { addTags: ['since'], pinned: true });
  await ledger.delete(second, i!);
  await ledger.delete(second, j!, { permanent: true });
  const { filename } = await ledger.save(second, imageOf(13));
  await ledger.delete(second, filename);
  await second.close();
  await crashAtWork(basePath, ledger, { step: 'image-brought-back', nth: 2 });
  return older;
}

/** Hard links and all. */
async function copyOf(template: string): Promise<string> {
  const copy = await mkdtemp(join(folder, 'run-'));
  await run('cp', ['-a', `${template}/.`, copy]);
  return copy;
}

async function inParallel<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const worker = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
