/** A crash after every step of the store's protocol: whatever was acknowledged is there, nothing half is seen. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Storage } from '../../src/storage/index.ts';
import { brokenPromises } from '../support/check-store.ts';
import { filesBelow, loseCatalog } from '../support/files.ts';
import { imageOf, Ledger } from '../support/ledger.ts';
import { random } from '../support/load.ts';
import { full } from '../support/scale.ts';
import { forkStore } from './forked-store.ts';
import {
  CATCH_UP,
  CHECKPOINT,
  DELETE,
  REBUILD,
  RECOVERY,
  SAVE,
  type Scenario,
  START,
  saveAll,
  survives,
  UPDATE,
} from './scenario.ts';
import type { StoreProcessOptions } from './store-process.ts';
import { trashScenarios } from './trash-scenarios.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 10 * 60_000;
const AT_ONCE = 4;
/** Times at which a step is crashed at: the chunks of a large image are all alike. */
const MOST_OF_A_STEP = 40;
/** Where a log of another moment goes. */
const LOG_ASIDE = 'metadata/catalog.db-wal.aside';

const SAME_SECOND = new Date(Date.UTC(2024, 8, 27, 14, 15, 22));

/** A scenario over a store that has a trash, or none. */
interface Case extends Scenario {
  hasTrash: boolean;
}

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
    isSampled: true,
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
    isSampled: true,
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
    isSampled: true,
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
    isSampled: true,
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
];
/** The second delete is half done. */
const IN_SECOND_TRASHING = { step: 'record-trashed', nth: 2 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-crash-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const cases = [...scenarios, ...trashScenarios].flatMap((scenario): Case[] => {
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
      const crashes = full || !scenario.isSampled ? crashesAt(wanted) : someCrashesAt(wanted);
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

/** What is in the trash can be brought back; the next check reads it. */
async function restoreSome(storage: Storage, ledger: Ledger): Promise<void> {
  for (const { filename } of ledger.trashed().slice(0, 2)) await ledger.restore(storage, filename);
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
