/** What lies in the folder of a store. */
import { appendFile, readdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KEY_ROOT, recordKey } from '../../src/storage/domain/naming.ts';
import type { Storage } from '../../src/storage/index.ts';

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

/** Images and records that no image of an open store accounts for, once nothing is staged. */
export async function strayFiles(storage: Storage, basePath: string): Promise<string[]> {
  await untilNothingIsStaged(basePath);
  const images = await storage.list();
  const wanted = new Set(images.flatMap(({ key, filename }) => [key, recordKey(filename)]));
  const found = [...(await filesBelow(basePath, 'images')), ...(await filesBelow(basePath, 'metadata/generations'))];
  return found.filter((path) => !wanted.has(KEY_ROOT + path));
}

/** Paths relative to the base path. */
export async function filesBelow(basePath: string, folder = ''): Promise<string[]> {
  const entries = await readdir(join(basePath, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(basePath, join(entry.parentPath, entry.name)));
}

/** Deletes the catalog of a store that is not open, its log and all. */
export async function loseCatalog(basePath: string): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await rm(join(basePath, `metadata/catalog.db${suffix}`), { force: true });
}

/** Writes to a file until not a page of its disk is left. */
export async function fill(path: string): Promise<void> {
  for (const size of [1 << 20, 1 << 16, 1 << 12]) {
    try {
      for (;;) await appendFile(path, Buffer.alloc(size, 'x'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
}
