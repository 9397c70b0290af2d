/** What tests build or install on first use and keep: one process does it, the others wait. */
import { existsSync } from 'node:fs';
import { chmod, glob, mkdir, mkdtemp, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openLock } from '../../src/storage/disk/lock.ts';

const OF_CHECKOUT = fileURLToPath(new URL('../../node_modules/.cache', import.meta.url));
const OF_ROOT = '/var/cache/image-storage-tests';
const OF_USER = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'image-storage-tests');
const LOCK_SECONDS = 600;
const DAY_MS = 24 * 60 * 60 * 1000;

/** The path of what is kept under that name for this checkout, until `npm ci`. */
export function cached(name: string): string {
  return join(OF_CHECKOUT, name);
}

/** The path of what is kept under that name for all checkouts of this user: its name says what it was built from. */
export function kept(name: string): string {
  const ofRoot = join(OF_ROOT, name);
  // Tests that gave root up read what root has built.
  return process.getuid?.() === 0 || existsSync(ofRoot) ? ofRoot : join(OF_USER, name);
}

/**
 * Returns the folder, filled by `build` where it is not there yet: beside it, so that none is ever half filled. Those
 * whose names differ in the last part go once nobody has used them for so many days.
 */
export async function builtOnce(
  folder: string,
  build: (folder: string) => Promise<void>,
  { unusedDays = 7 } = {},
): Promise<string> {
  if (!existsSync(folder)) {
    await oneAtATime(folder, () => fill(folder, build));
    await removeUnused(folder, unusedDays * DAY_MS);
  }
  const { uid } = await stat(folder);
  if (uid === process.getuid?.()) {
    // Tests that gave root up read it, too.
    await chmod(folder, 0o755);
    await utimes(folder, new Date(), new Date());
  }
  return folder;
}

async function removeUnused(folder: string, ms: number): Promise<void> {
  for await (const path of glob(folder.replace(/[^-]+$/, '*'))) {
    const { mtimeMs } = await stat(path);
    if (!path.startsWith(folder) && mtimeMs < Date.now() - ms) await rm(path, { recursive: true, force: true });
  }
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

/** Runs the work while no other process is in work on that path. */
export async function oneAtATime(path: string, work: () => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const lock = await openLock(`${path}.lock`, { waitSeconds: LOCK_SECONDS });
  try {
    await work();
  } finally {
    lock.release();
  }
}
