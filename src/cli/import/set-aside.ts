/** Gives a file another name while the store is asked for its bytes: a store that reads the file by its path has none then. */
import { randomBytes } from 'node:crypto';
import { link, lstat, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { bytesOf } from '../shared/raw-path.ts';
import type { Found, FoundFile } from '../shared/walk.ts';

/** `fox.image-storage-move-1a2b3c4d-5e6f7a8b.png`: a run that is killed leaves an image with the name that it had in it. */
const MARK = /\.image-storage-move-([0-9a-f]{8})-[0-9a-f]{8}(?=\.[^.]*$|$)/;
/** Of most file systems. */
const MAX_NAME_BYTES = 255;
/** What file systems without hard links answer: exFAT, and some of FUSE and of networks. */
const NO_LINKS: readonly unknown[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL'];

/** Returns the path without the mark; a name that was shortened for it stays so. */
export function unmarked(path: string): string {
  return join(dirname(path), basename(path).replace(MARK, ''));
}

/** The names that one run gives. All paths are raw. */
export class NamesAside {
  readonly #run = randomBytes(4).toString('hex');
  readonly #givenBack = new Set<string>();

  /** Whether this run finds again what it has renamed itself, which a folder that is being read may show twice. */
  has(found: Found): boolean {
    if (MARK.exec(basename(found.path))?.[1] === this.#run) return true;
    return found.kind === 'file' && this.#givenBack.has(keyOf(found));
  }

  /** Returns its new path, in the same folder. Rejects with the system's error. */
  async take(path: string): Promise<string> {
    const aside = join(dirname(path), this.#marked(basename(unmarked(path))));
    // Random: there is no other file of that name to replace.
    await rename(bytesOf(path), bytesOf(aside));
    return aside;
  }

  /**
   * Replaces no file. `isDone`: this run is not to meet it again, where it does not change. Returns false where the file
   * keeps the name aside, since its own is taken or cannot be given.
   */
  async giveBack(aside: string, path: string, isDone: boolean): Promise<boolean> {
    try {
      const { size, mtimeMs } = await lstat(bytesOf(aside));
      await renameToFree(bytesOf(aside), bytesOf(path));
      if (isDone) this.#givenBack.add(keyOf({ path, sizeBytes: size, modifiedAt: Math.trunc(mtimeMs) }));
      return true;
    } catch {
      return false;
    }
  }

  #marked(name: string): string {
    const mark = `.image-storage-move-${this.#run}-${randomBytes(4).toString('hex')}`;
    const extension = extname(name);
    const stem = name.slice(0, name.length - extension.length);
    return shortened(stem, MAX_NAME_BYTES - mark.length - extension.length) + mark + extension;
  }
}

/** A raw name has a character for each byte; none of UTF-8 is cut. */
function shortened(stem: string, maxBytes: number): string {
  if (stem.length <= maxBytes) return stem;
  let end = Math.max(0, maxBytes);
  while (end > 0 && (stem.charCodeAt(end) & 0xc0) === 0x80) end -= 1;
  return stem.slice(0, end);
}

function keyOf({ path, sizeBytes, modifiedAt }: FoundFile): string {
  return `${path}:${sizeBytes}:${modifiedAt}`;
}

/** Rejects with EEXIST where the name is taken. */
async function renameToFree(from: Buffer, to: Buffer): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!NO_LINKS.includes((error as NodeJS.ErrnoException).code)) throw error;
    // An empty file takes the name first: only that is replaced.
    await (await open(to, 'wx')).close();
    await rename(from, to);
    return;
  }
  await unlink(from);
}
