/** The files of a closed database, moved or removed together: SQLite would replay a WAL that is left over the next one. */
import { rename, rm } from 'node:fs/promises';

const SUFFIXES = ['', '-wal', '-shm'];

/** Gives a lost catalog another name for whoever wants to look at it, in place of what had that name. */
export async function setAside(path: string, aside: string): Promise<void> {
  await removeDatabase(aside);
  for (const suffix of SUFFIXES) await renameIfPresent(path + suffix, aside + suffix);
}

/** Removes all of it that is there. */
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
