/** Crashes in a store with a trash: in its protocol, in what the next start finds of it, and in a catalog that is lost or older. */
import { copyFile, mkdtemp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { toBeforeTrash } from '../support/before-trash.ts';
import { loseCatalog } from '../support/files.ts';
import { imageOf, type Ledger } from '../support/ledger.ts';
import { full, seed } from '../support/scale.ts';
import { type ForkedStore, forkStore } from './forked-store.ts';
import {
  CATCH_UP,
  namesOf,
  PURGE,
  REBUILD,
  RESTORE,
  type Scenario,
  START,
  saveAll,
  survives,
  TRASH,
} from './scenario.ts';

/** The steps at which a crash leaves files of the trash to the next start. */
const MIDDLES = [
  'committed',
  'record-trashed',
  'image-trashed',
  'restore-staged',
  'image-brought-back',
  'record-brought-back',
  'unlinked',
];
const IN_THE_MIDDLE = full ? MIDDLES : [MIDDLES[seed % MIDDLES.length]!];

export const trashScenarios: Scenario[] = [
  {
    name: 'Trash, Restore and Purge',
    trash: true,
    isSampled: true,
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
    isSampled: true,
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
      isSampled: true,
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
    isSampled: true,
    steps: [...START, ...CATCH_UP],
    own: ['trash-taken-in', 'records-taken-in', 'record-trashed', 'unlinks-synced'],
    prepare: async (basePath, ledger) => {
      const older = await historyOfTrash(basePath, ledger);
      await loseCatalog(basePath);
      await copyFile(older, join(basePath, 'metadata/catalog.db'));
    },
  },
  {
    name: 'first start of a store that a version without a trash left',
    trash: true,
    isSampled: true,
    steps: [...START, ...TRASH, ...RESTORE],
    own: [...START, 'image-trashed'],
    prepare: async (basePath, ledger) => {
      await saveAll(basePath, ledger, 4);
      await toBeforeTrash(basePath);
    },
    act: async (store, ledger) => {
      const [one, other] = namesOf(ledger) as [string, string];
      for (const filename of [one, other]) await ledger.delete(store, filename);
      await ledger.restore(store, one);
    },
  },
  {
    name: 'rebuild of a lost catalog with a trash',
    trash: true,
    isSampled: true,
    steps: [...START, ...REBUILD],
    own: ['rebuilt', 'new-catalog-in-place', 'unlinks-synced'],
    prepare: async (basePath, ledger) => {
      await historyOfTrash(basePath, ledger);
      await loseCatalog(basePath);
    },
  },
];

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
  const older = join(await mkdtemp(join(dirname(basePath), 'older-')), 'catalog.db');
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
