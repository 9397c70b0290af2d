/** Two crashes in one delete, and a catalog that is lost then: nothing is left of the image, wherever it lay. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { brokenPromises } from '../support/check-store.ts';
import { loseCatalog } from '../support/files.ts';
import { Ledger } from '../support/ledger.ts';
import { full, seed } from '../support/scale.ts';
import { forkStore } from './forked-store.ts';
import { namesOf, saveAll, survives } from './scenario.ts';

/** A start tries seven names: the record in the trash, two staged, a temporary, the record, the image, that in the trash. */
const UNLINKS = [1, 5, 6];
const TRIED = full ? UNLINKS : [UNLINKS[seed % UNLINKS.length]!];

it.each([
  { what: 'an image', isTrashed: false },
  { what: 'an image of the trash', isTrashed: true },
  { what: 'an image whose bytes are lost', isTrashed: false, isLost: true },
])('of $what is finished', async ({ isTrashed, isLost }) => {
  for (const nth of TRIED) {
    const basePath = await mkdtemp(join(tmpdir(), 'image-storage-'));
    const ledger = new Ledger({ trash: isTrashed });
    await saveAll(basePath, ledger, 2);
    const [filename] = namesOf(ledger) as [string];
    const trash = isTrashed ? {} : { trashDays: 0 };
    const before = await forkStore({ basePath, ...trash });
    const { key } = (await before.list()).find((image) => image.filename === filename)!;
    if (isTrashed) await ledger.delete(before, filename);
    await before.close();
    if (isLost) await rm(join(basePath, key.slice('outputs/'.length)));

    const store = await forkStore({ basePath, ...trash, crash: { step: 'committed', nth: 1 } });
    const deleted = isTrashed ? ledger.purge(store, filename) : ledger.delete(store, filename);
    expect(await survives(deleted)).toBe(false);
    expect(await survives(forkStore({ basePath, ...trash, crash: { step: 'unlinked', nth } }))).toBe(false);
    await loseCatalog(basePath);
    expect(await brokenPromises(basePath, ledger)).toEqual([]);
    await rm(basePath, { recursive: true });
  }
});
