/** The file operations that the guarantees of a local store depend on. */
import { createHash } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import { chmod, type FileHandle, link, lstat, mkdir, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncNames } from './descriptors.ts';
import { checkFolder, chunksOf, openPlain } from './plain-files.ts';

const READ_BYTES = 1024 * 1024;
/** Codes of what is wrong with one file; any other is that of the disk or of the whole store. */
const OF_ONE_FILE = [
  ...['EACCES', 'EBUSY', 'EFTYPE', 'EIO', 'EISDIR', 'ELOOP', 'ENOENT', 'ENOTDIR', 'ENXIO', 'EPERM', 'EUCLEAN'],
  'EXDEV',
];

/** The identity of a file on this machine. */
export interface Inode {
  dev: bigint;
  ino: bigint;
}

/** Returns whether an error has one of these system codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}

/** Returns whether an error concerns this one file only, so that the work on the others goes on. */
export function isOfOneFile(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return hasCode(error, ...OF_ONE_FILE);
}

/** Returns the result of the work, or undefined when the file does not exist. */
export async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Unlinks a file. Returns false when it does not exist. */
export async function unlinkIfPresent(path: string): Promise<boolean> {
  return (await ifPresent(unlink(path).then(() => true))) ?? false;
}

/** Makes a hard link. Returns false when the target exists, which is never overwritten. */
export async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Returns the identity of what has this name; of a link, its own. */
export async function inodeOf(path: string): Promise<Inode | undefined> {
  const stats = await ifPresent(lstat(path, { bigint: true }));
  return stats && { dev: stats.dev, ino: stats.ino };
}

/** Returns whether the path names this very file. */
export async function isSame(path: string, inode: Inode): Promise<boolean> {
  const found = await inodeOf(path);
  return found?.ino === inode.ino && found.dev === inode.dev;
}

/** Unlinks the path only when it names this very file. */
export async function unlinkIfSame(path: string, inode: Inode): Promise<void> {
  if (await isSame(path, inode)) await unlinkIfPresent(path);
}

/** Writes all bytes: a single write on a nearly full disk may be short without an error. */
export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    if (bytesWritten === 0) throw Object.assign(new Error('nothing was written'), { code: 'ENOSPC' });
    done += bytesWritten;
  }
}

/** Writes all chunks, one behind the other. */
export async function writeAll(file: FileHandle, chunks: readonly Uint8Array[], position: number): Promise<void> {
  if (chunks.length === 1) return writeFully(file, chunks[0]!, position);
  let { bytesWritten } = await file.writev(chunks, position);
  let at = position + bytesWritten;
  // What a short write has left.
  for (const chunk of chunks) {
    const written = Math.min(bytesWritten, chunk.length);
    bytesWritten -= written;
    if (written === chunk.length) continue;
    await writeFully(file, chunk.subarray(written), at);
    at += chunk.length - written;
  }
}

/**
 * Thrown when the fsync of a folder fails: whether its names are durable is unknown, and a second fsync would not tell.
 */
export class FolderSyncError extends Error {
  override readonly name = 'FolderSyncError';
}

/** Puts the names in a folder on stable storage. Throws FolderSyncError when the fsync fails. */
export async function syncFolder(path: string): Promise<void> {
  // Synchronous: the kernel answers from memory, and jobs of the thread pool would wait behind those that write.
  const folder = openSync(path, constants.O_RDONLY | (constants.O_DIRECTORY ?? 0));
  try {
    await syncNames(folder);
  } catch (error) {
    throw new FolderSyncError('a folder could not be synced', { cause: error });
  } finally {
    closeSync(folder);
  }
}

/** Puts the content of a file on stable storage. Returns false when the file does not exist. */
export async function syncFile(path: string): Promise<boolean> {
  const file = await ifPresent(openPlain(path, 'change'));
  if (file === undefined) return false;
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
  return true;
}

/** Replaces a small file atomically: after a crash it is the old or the new one. The caller syncs the folder. */
export async function placeFile(path: string, content: string): Promise<void> {
  const temporary = `${path}.tmp`;
  // Exclusively: nothing that is in the way is written through.
  const write = () => writeFile(temporary, content, { flush: true, flag: 'wx' });
  try {
    await write();
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    await unlinkIfPresent(temporary);
    await write();
  }
  await rename(temporary, path);
}

/** Replaces a small file atomically and durably. */
export async function replaceFile(path: string, content: string): Promise<void> {
  await placeFile(path, content);
  await syncFolder(dirname(path));
}

/** Returns the content of a plain file, or undefined. Rejects with NotPlainError. */
export async function readText(path: string): Promise<string | undefined> {
  await using file = await ifPresent(openPlain(path));
  return file?.readFile('utf8');
}

/** Returns the sha256 of a plain file, lower-case hex. Rejects with NotPlainError. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await using file = await openPlain(path);
  for await (const chunk of chunksOf(file, READ_BYTES)) hash.update(chunk);
  return hash.digest('hex');
}

/**
 * Makes a folder and those above it; one that is there stays. Rejects with EEXIST where a file has the name. Node's own
 * `recursive` never ends below a folder that takes no entries, such as /proc.
 */
export async function makeFolders(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (hasCode(error, 'EEXIST') && (await stat(path)).isDirectory()) return;
    if (!hasCode(error, 'ENOENT') || path === dirname(path)) throw error;
    await makeFolders(dirname(path));
    await makeFolder(path);
  }
}

/** Returns false when the folder exists. */
async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/**
 * Creates folders below a root on first use, and looks at those that exist: they must be no links, except directly below
 * the root. `ensure` resolves once the folder's name and those of its ancestors are on stable storage.
 */
export class Folders {
  readonly fileMode: number | undefined;
  readonly #root: string;
  readonly #ready = new Map<string, Promise<void>>();
  readonly #seen = new Set<string>();

  /** `fileMode` is the mode of files, and decides who may enter folders; unset: what the umask of the process leaves. */
  constructor(root: string, fileMode?: number) {
    this.#root = root;
    this.fileMode = fileMode;
  }

  /** Gives a new file of the caller the mode of files. */
  async setFileMode(path: string): Promise<void> {
    if (this.fileMode !== undefined) await chmod(path, this.fileMode);
  }

  /** Opens a folder to those who may read files, and closes it to others. */
  async setFolderMode(path: string): Promise<void> {
    // Who may read a file may list and enter its folder.
    if (this.fileMode !== undefined) await chmod(path, this.fileMode | ((this.fileMode & 0o444) >> 2));
  }

  /** Rejects with NotPlainError when something else is in the place of the folder or of one above it. */
  ensure(path: string): Promise<void> {
    let ready = this.#ready.get(path);
    if (ready === undefined) {
      ready = this.#make(path);
      this.#ready.set(path, ready);
      ready.catch(() => this.#ready.delete(path));
    }
    return ready;
  }

  /** Whether `look` would not look at it again. */
  isSeen(path: string): boolean {
    return this.#seen.has(path);
  }

  /** Rejects as `ensure`, and creates nothing. A folder that is missing passes. */
  async look(path: string): Promise<void> {
    if (this.#seen.has(path) || !path.startsWith(`${this.#root}/`)) return;
    const parent = dirname(path);
    if (parent === this.#root) return;
    await this.look(parent);
    if ((await ifPresent(checkFolder(path).then(() => true))) === true) this.#seen.add(path);
  }

  async #make(path: string): Promise<void> {
    const parent = dirname(path);
    if (parent === path) return;
    await this.ensure(parent);
    const made = await makeFolder(path);
    if (!made) await this.look(path);
    const isOurs = path.startsWith(`${this.#root}/`);
    if (made && (isOurs || path === this.#root)) await this.setFolderMode(path);
    // Also for an existing folder of ours: a killed process may have made it without syncing its name.
    if (made || isOurs) await syncFolder(parent);
  }

  /** Runs work that needs the folder, and repeats it once when the folder was removed. */
  async within<T>(path: string, work: () => Promise<T>): Promise<T> {
    await this.ensure(path);
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      this.#ready.clear();
      this.#seen.clear();
      await this.ensure(path);
      return work();
    }
  }
}
