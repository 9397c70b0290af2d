/** What lies in the folder of a store. */
import { readdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const GIVE_UP_MS = 20_000;

/** Until what follows the last answer is done; throws with the names that stay. */
export async function untilNothingIsStaged(basePath: string): Promise<void> {
  const giveUpAt = Date.now() + GIVE_UP_MS;
  for (;;) {
    const staged = await filesBelow(basePath, 'metadata/staging');
    if (staged.length === 0) return;
    if (Date.now() > giveUpAt) throw new Error(`left in staging: ${staged.join(', ')}`);
    await sleep(5);
  }
}

/** Paths relative to the base path. */
export async function filesBelow(basePath: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(basePath, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(basePath, join(entry.parentPath, entry.name)));
}

/** Deletes the catalog of a store that is not open, its log and all. */
export async function loseCatalog(basePath: string): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await rm(join(basePath, `metadata/catalog.db${suffix}`), { force: true });
}
