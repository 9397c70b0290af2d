/** Two crashes in one delete, and a catalog that is lost then: nothing is left of the image, wherever it lay. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { brokenPromises } from '../support/check-store.ts';
import { loseCatalog } from '../support/files.ts';
import { Ledger } from '../support/ledger.ts';
import { forkStore } from './forked-store.ts';
import { namesOf, saveAll, survives } from './scenario.ts';

/** The files of one image that a start unlinks, in its order: the record of the trash, four of the live tree, the image. */
const UNLINKS = [1, 5, 6, 7];

it.each([
  { where: 'the live tree', isTrashed: false },
  { where: 'the trash', isTrashed: true },
])('is finished where the image lay in $where', async ({ isTrashed }) => {
  for (const nth of UNLINKS) {
    const basePath = await mkdtemp(join(tmpdir(), 'image-storage-'));
    const ledger = new Ledger({ trash: isTrashed });
    await saveAll(basePath, ledger, 2);
    const [filename] = namesOf(ledger) as [string];
    const trash = isTrashed ? {} : { trashDays: 0 };
    const before = await forkStore({ basePath, ...trash });
    if (isTrashed) await ledger.delete(before, filename);
    await before.close();

    const store = await forkStore({ basePath, ...trash, crash: { step: 'committed', nth: 1 } });
    const deleted = isTrashed ? ledger.purge(store, filename) : ledger.delete(store, filename);
    expect(await survives(deleted)).toBe(false);
    const crash = { step: 'unlinked', nth };
    expect(await survives(forkStore({ basePath, ...trash, crash }))).toBe(false);
    await loseCatalog(basePath);
    expect(await brokenPromises(basePath, ledger)).toEqual([]);
    await rm(basePath, { recursive: true });
  }
});
