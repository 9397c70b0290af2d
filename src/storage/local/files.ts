/** The few file operations that a local store's promises rest on. */
import { type FileHandle, link, mkdir, open, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The identity of a file on this machine. */
export interface Inode {
  dev: bigint;
  ino: bigint;
}

/** Whether an error is of one of these system codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');
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

/** Unlinks the name only where it names that very file. */
export async function unlinkIfSame(path: string, inode: Inode): Promise<void> {
  const found = await inodeOf(path);
  if (found?.ino === inode.ino && found.dev === inode.dev) await unlinkIfPresent(path);
}

/** Writes all of it: a write on a nearly full disk may take less than asked without an error. */
export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    if (bytesWritten === 0) throw Object.assign(new Error('nothing was written'), { code: 'ENOSPC' });
    done += bytesWritten;
  }
}

/** Puts the names in a folder on stable storage. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
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

/** Puts a small file in place at once and for good: after a crash it is whole or the old one. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  await writeFile(temporary, content, { flush: true });
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

export async function readText(path: string): Promise<string | undefined> {
  return ifPresent(readFile(path, 'utf8'));
}

/** Creates a folder and its ancestors, each new name on stable storage. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) {
      await makeFolder(dirname(path));
      return makeFolder(path);
    }
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  await syncFolder(dirname(path));
}

/** Folders that are created on first use; whoever needs one waits until its name is on stable storage. */
export class Folders {
  readonly #ready = new Map<string, Promise<void>>();

  ensure(path: string): Promise<void> {
    let ready = this.#ready.get(path);
    if (ready === undefined) {
      ready = makeFolder(path).catch((error) => {
        this.forget(path);
        throw error;
      });
      this.#ready.set(path, ready);
    }
    return ready;
  }

  /** Makes the next use create it again: somebody removed it. */
  forget(path: string): void {
    this.#ready.delete(path);
  }

  /** Runs `work`, which needs the folder, once more when the folder turns out to be gone. */
  async within<T>(path: string, work: () => Promise<T>): Promise<T> {
    await this.ensure(path);
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      this.forget(path);
      await this.ensure(path);
      return work();
    }
  }
}
