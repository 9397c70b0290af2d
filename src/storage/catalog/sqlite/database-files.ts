/** Moves and removes the files of a closed database together: SQLite would replay a leftover WAL over the next one. */
import { rename, rm } from 'node:fs/promises';

const SUFFIXES = ['', '-wal', '-shm'];

/** Renames a lost catalog, so that it can be inspected, and removes an earlier one of that name. */
export async function setAside(path: string, aside: string): Promise<void> {
  await removeDatabase(aside);
  for (const suffix of SUFFIXES) await renameIfPresent(path + suffix, aside + suffix);
}

/** Removes those files of the database that exist. */
export async function removeDatabase(path: string): Promise<void> {
  for (const suffix of SUFFIXES) await rm(path + suffix, { force: true });
}

async function renameIfPresent(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
