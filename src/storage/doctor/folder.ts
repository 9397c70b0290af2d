/** Checks that a folder offers what a catalog and image files need, with scratch files that are removed afterwards. */
import { mkdtemp, open, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { checkLocal } from '../disk/file-system.ts';
import { ifPresent, syncFolder, writeFully } from '../disk/files.ts';
import { asUser, checkAccess, type FolderSetting, folderProblem, notFolder } from '../disk/folder-problem.ts';
import { lockHolder } from '../disk/lock-holder.ts';
import { type Check, type CheckResult, note, Shortcoming, skipped, step } from './check.ts';

const MIB = 1024 * 1024;
/** With less, not even the reserve can be allocated. */
const MIN_FREE_BYTES = 8 * MIB;
/** An image is two files, and its folders may be new. */
const MIN_FREE_INODES = 10;
const SYNCS = 5;
const SYNCED_BYTES = 64 * 1024;
const SLOW_SYNC_MS = 50;
/** Faster than any disk. */
const SUSPICIOUS_SYNC_MS = 0.05;

export interface ExaminedFolder extends FolderSetting {
  /** The root, or a folder in it. */
  path: string;
  /** Files and folders that must be writable if they exist. */
  files: readonly string[];
  lock: string;
  /** The largest size of an image. */
  maxImageBytes: number;
  /** Further checks, with a scratch folder. */
  also?: (scratch: string) => AsyncGenerator<Check>;
}

export async function* examineFolder(folder: ExaminedFolder): AsyncGenerator<Check> {
  const { path, lock, maxImageBytes } = folder;
  let scratch: string | undefined;
  try {
    yield* step('folder', async () => {
      scratch = await makeScratch(path, folder);
      await checkWritable(folder.files, folder);
      const base = dirname(scratch);
      return base === path ? `${path} can be written${asUser()}` : `${path} is not there, and can be made in ${base}`;
    });
    if (scratch === undefined) return;
    const inScratch = scratch;
    yield* step('filesystem', () => examineFileSystem(inScratch));
    if (folder.also) yield* folder.also(inScratch);
    yield* step('space', () => examineSpace(inScratch, maxImageBytes));
    yield* step('fsync', () => toldAs(inScratch, folder, () => examineSync(inScratch)));
    yield* step('lock', () => examineLock(lock));
  } finally {
    if (scratch !== undefined) await rm(scratch, { recursive: true, force: true });
  }
}

/** Returns the deepest existing folder of a path. Throws a Shortcoming when a file is in its place. */
export async function nearestFolder(path: string, place: FolderSetting): Promise<string> {
  const found = await toldAs(path, place, () => ifPresent(stat(path)));
  if (found === undefined) return nearestFolder(dirname(path), place);
  if (!found.isDirectory()) throw new Shortcoming(notFolder(path, place));
  return path;
}

/** Runs the work on a path. Converts errors of the file system to Shortcomings. */
export async function toldAs<T>(path: string, place: FolderSetting, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toShortcoming(error, path, place);
  }
}

function toShortcoming(thrown: unknown, path: string, place: FolderSetting): unknown {
  const problem = folderProblem(thrown, path, place);
  return problem === undefined ? thrown : new Shortcoming(problem.message, { cause: problem.cause });
}

async function makeScratch(path: string, place: FolderSetting): Promise<string> {
  const base = await nearestFolder(path, place);
  return toldAs(base, place, () => mkdtemp(join(base, '.doctor-')));
}

async function checkWritable(files: readonly string[], place: FolderSetting): Promise<void> {
  for (const file of files) await toldAs(file, place, () => checkAccess(file));
}

async function examineFileSystem(path: string): Promise<CheckResult> {
  switch (await checkLocal(path)) {
    case 'memory':
      return note(`${dirname(path)} lies in memory (tmpfs): a restart of the machine loses all of it`);
    case 'fuse':
      return note(`${dirname(path)} is on FUSE or virtiofs: a power cut is as safe as that makes fsync`);
    case 'disk':
      return `${dirname(path)} is no network file system`;
  }
}

async function examineSpace(path: string, maxImageBytes: number): Promise<CheckResult> {
  const { bavail, bsize, files, ffree } = await statfs(path);
  const freeBytes = bavail * bsize;
  const told = `${Math.floor(freeBytes / MIB).toLocaleString('en')} MiB free`;
  if (freeBytes < MIN_FREE_BYTES) throw new Shortcoming(`${told}: the disk is full: make room`);
  // Some file systems allocate inodes on demand, and report none.
  if (files > 0 && ffree < MIN_FREE_INODES) throw new Shortcoming(`${told}, but no inodes: remove files`);
  if (freeBytes < maxImageBytes) return note(`${told}: less than one image may take (limits.maxImageBytes)`);
  return files > 0 ? `${told}, ${ffree.toLocaleString('en')} inodes` : told;
}

async function examineSync(scratch: string): Promise<CheckResult> {
  const ms = await medianSyncMs(join(scratch, 'synced'));
  await syncFolder(scratch);
  const told = `${ms.toFixed(ms < 10 ? 2 : 0)} ms (median of ${SYNCS})`;
  if (ms > SLOW_SYNC_MS) return note(`${told}: every save waits for the disk; a faster one saves faster`);
  if (ms < SUSPICIOUS_SYNC_MS) return note(`${told}: so fast that it may not reach a disk, and a power cut lose saves`);
  return told;
}

async function medianSyncMs(path: string): Promise<number> {
  const file = await open(path, 'wx');
  try {
    const durations: number[] = [];
    for (let position = 0; position < SYNCS * SYNCED_BYTES; position += SYNCED_BYTES) {
      await writeFully(file, Buffer.alloc(SYNCED_BYTES, 1), position);
      const startedAt = performance.now();
      await file.datasync();
      durations.push(performance.now() - startedAt);
    }
    return durations.sort((a, b) => a - b)[Math.floor(SYNCS / 2)]!;
  } finally {
    await file.close();
  }
}

async function examineLock(path: string): Promise<CheckResult> {
  const holder = await lockHolder(path);
  if (holder === 'unknown') return skipped('this system does not tell who has the lock');
  if (holder === 'nobody') return 'no process that can be seen from here has the lock';
  return note(`process ${holder} has the store open: a second daemon would wait for it, and give up`);
}
