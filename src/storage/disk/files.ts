/** The few file operations that a local store's promises rest on. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, link, mkdir, open, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

const READ_BYTES = 1024 * 1024;
/** Codes of what is wrong with one file; any other is that of the disk or of the whole store. */
const OF_ONE_FILE = ['EACCES', 'EBUSY', 'EIO', 'EISDIR', 'ELOOP', 'ENOENT', 'ENOTDIR', 'EPERM', 'EUCLEAN', 'EXDEV'];

/** The identity of a file on this machine. */
export interface Inode {
  dev: bigint;
  ino: bigint;
}

/** Whether an error is of one of these system codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}

/** Whether an error concerns one file only, so that the work on all others goes on. */
export function isOfOneFile(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return hasCode(error, ...OF_ONE_FILE);
}

/** `work`, or undefined where the file is not there. */
export async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** True when there was such a file. */
export async function unlinkIfPresent(path: string): Promise<boolean> {
  return (await ifPresent(unlink(path).then(() => true))) ?? false;
}

/** False when the target exists; it is never overwritten. */
export async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

export async function inodeOf(path: string): Promise<Inode | undefined> {
  const stats = await ifPresent(stat(path, { bigint: true }));
  return stats && { dev: stats.dev, ino: stats.ino };
}

/** Whether the name is that of this very file. */
export async function isSame(path: string, inode: Inode): Promise<boolean> {
  const found = await inodeOf(path);
  return found?.ino === inode.ino && found.dev === inode.dev;
}

/** Unlinks the name only where it is that of this very file. */
export async function unlinkIfSame(path: string, inode: Inode): Promise<void> {
  if (await isSame(path, inode)) await unlinkIfPresent(path);
}

/** Writes all of it: a write on a nearly full disk may take less than asked without an error. */
export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    if (bytesWritten === 0) throw Object.assign(new Error('nothing was written'), { code: 'ENOSPC' });
    done += bytesWritten;
  }
}

/** A folder's fsync failed: whether its names are on stable storage is not known, and asking again would not tell. */
export class FolderSyncError extends Error {
  override readonly name = 'FolderSyncError';
}

/** Puts the names in a folder on stable storage; FolderSyncError when that fails. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    throw new FolderSyncError('a folder could not be synced', { cause: error });
  } finally {
    await folder.close();
  }
}

/** Puts the content of a file on stable storage; false where it is not there. */
export async function syncFile(path: string): Promise<boolean> {
  const file = await ifPresent(open(path, 'r+'));
  if (file === undefined) return false;
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
  return true;
}

/** Puts a small file in place at once: after a crash it is whole or the old one. Its folder is the caller's to sync. */
export async function placeFile(path: string, content: string): Promise<void> {
  const temporary = `${path}.tmp`;
  await writeFile(temporary, content, { flush: true });
  await rename(temporary, path);
}

/** Puts a small file in place at once and for good. */
export async function replaceFile(path: string, content: string): Promise<void> {
  await placeFile(path, content);
  await syncFolder(dirname(path));
}

export async function readText(path: string): Promise<string | undefined> {
  return ifPresent(readFile(path, 'utf8'));
}

/** Of the bytes in a file, lower-case hex. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** False when it was there. */
async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Folders below a root that are created on first use; whoever needs one waits until its name and its ancestors' are on stable storage. */
export class Folders {
  readonly #root: string;
  readonly #ready = new Map<string, Promise<void>>();

  constructor(root: string) {
    this.#root = root;
  }

  ensure(path: string): Promise<void> {
    let ready = this.#ready.get(path);
    if (ready === undefined) {
      ready = this.#make(path);
      this.#ready.set(path, ready);
      ready.catch(() => this.#ready.delete(path));
    }
    return ready;
  }

  async #make(path: string): Promise<void> {
    const parent = dirname(path);
    if (parent === path) return;
    await this.ensure(parent);
    const made = await makeFolder(path);
    // One of ours also when it was there: a process that was killed may have made it and not synced its name.
    if (made || path.startsWith(`${this.#root}/`)) await syncFolder(parent);
  }

  /** Runs `work`, which needs the folder, once more when somebody removed the folder. */
  async within<T>(path: string, work: () => Promise<T>): Promise<T> {
    await this.ensure(path);
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      this.#ready.clear();
      await this.ensure(path);
      return work();
    }
  }
}
