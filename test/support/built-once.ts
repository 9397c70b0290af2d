/** What tests build or install on first use and keep below node_modules: one process does it, the others wait. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openLock } from '../../src/storage/disk/lock.ts';

const CACHE = fileURLToPath(new URL('../../node_modules/.cache', import.meta.url));
const LOCK_SECONDS = 600;

/** The path of what is kept under that name. */
export function cached(name: string): string {
  return join(CACHE, name);
}

/** The folder of that name, filled by `build` where it is not there yet: beside it, so that none is ever half filled. */
export async function builtOnce(name: string, build: (folder: string) => Promise<void>): Promise<string> {
  const folder = cached(name);
  if (!existsSync(folder)) await oneAtATime(name, () => fill(folder, build));
  // Tests that gave root up read it, too.
  if (process.getuid?.() === 0) await chmod(folder, 0o755);
  return folder;
}

async function fill(folder: string, build: (folder: string) => Promise<void>): Promise<void> {
  if (existsSync(folder)) return;
  const building = await mkdtemp(`${folder}-`);
  try {
    await build(building);
    await rename(building, folder);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    throw error;
  }
}

/** Runs the work while no other process is in work of that name. */
export async function oneAtATime(name: string, work: () => Promise<void>): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const lock = await openLock(cached(`${name}.lock`), LOCK_SECONDS);
  try {
    await work();
  } finally {
    lock.release();
  }
}
