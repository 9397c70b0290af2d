/**
 * Finds the files of a folder one at a time, so that any number of them fits into memory. Reports links, follows none.
 */
import type { Dirent } from 'node:fs';
import { lstat, opendir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { bytesOf, RAW } from './raw-path.ts';

export interface FoundFile {
  /** A raw path, as are all paths in this file. */
  path: string;
  sizeBytes: number;
  /** ms since 1970. */
  modifiedAt: number;
}

/**
 * `file`: may be an image · `link`, `special`, `thumbnail`, `companion`: skipped · `aside`: a folder of which nothing is
 * looked at · `unreadable`: a file or folder.
 */
export type Found =
  | ({ kind: 'file' } & FoundFile)
  | { kind: 'link' | 'special' | 'thumbnail' | 'companion' | 'aside'; path: string }
  | { kind: 'unreadable'; path: string; error: unknown };

/** What is counted as an image before it is read. */
export const IMAGE_NAME: RegExp = /\.(png|jpe?g|webp|gif|avif)$/i;
/** Where programs keep thumbnails, copies and what was thrown away: Synology, QNAP, Jupyter, galleries, macOS, Windows. */
const ASIDE = new Set([
  '@eadir',
  '#recycle',
  '@recycle',
  '.ipynb_checkpoints',
  '.thumbnails',
  '.thumbnails_cache',
  '.thumbs',
  '__macosx',
  '.trash',
  '.trashes',
  '$recycle.bin',
]);
/** Of a disk, with the id of its user. */
const TRASH_OF_USER = /^\.trash-\d+$/;
/** What SwarmUI keeps beside an image, such as `x.swarmpreview.jpg`. */
const SWARM_PREVIEW = /\.swarmpreview\.\w+$/i;

/**
 * Yields files in the order of the file system. Skips the metadata folder of a store of ImageStorage, caches, and the
 * folders that are left out.
 */
export async function* walk(folder: string, leftOut: readonly string[] = []): AsyncGenerator<Found> {
  try {
    for await (const entry of await opendir(bytesOf(folder), RAW)) yield* findingsOf(folder, entry, leftOut);
  } catch (error) {
    yield { kind: 'unreadable', path: folder, error };
  }
}

async function* findingsOf(folder: string, entry: Dirent, leftOut: readonly string[]): AsyncGenerator<Found> {
  const path = join(folder, entry.name);
  if (entry.isSymbolicLink()) yield { kind: 'link', path };
  else if (entry.isDirectory()) {
    if (isAside(entry.name)) yield { kind: 'aside', path };
    else if (!leftOut.includes(path) && !(await isStoresOwn(path))) yield* walk(path, leftOut);
  } else if (!entry.isFile()) yield { kind: 'special', path };
  else if (entry.name.startsWith('._')) yield { kind: 'companion', path };
  else if (isThumbnail(path)) yield { kind: 'thumbnail', path };
  else yield await fileAt(path);
}

async function fileAt(path: string): Promise<Found> {
  try {
    const { size, mtimeMs } = await lstat(bytesOf(path));
    return { kind: 'file', path, sizeBytes: size, modifiedAt: Math.trunc(mtimeMs) };
  } catch (error) {
    return { kind: 'unreadable', path, error };
  }
}

/**
 * Returns whether a store keeps its metadata in the folder, or a program its cache: saves in flight and previews would be
 * taken for images.
 */
async function isStoresOwn(folder: string): Promise<boolean> {
  if (await exists(join(folder, 'CACHEDIR.TAG'))) return true;
  return basename(folder) === 'metadata' && (await exists(join(folder, 'FORMAT')));
}

function isAside(folder: string): boolean {
  const name = folder.toLowerCase();
  return ASIDE.has(name) || TRASH_OF_USER.test(name);
}

/** Returns whether it is one of SwarmUI, or of InvokeAI, whose image may be gone from beside it: `--move` takes it. */
function isThumbnail(path: string): boolean {
  if (SWARM_PREVIEW.test(path)) return true;
  return basename(dirname(path)) === 'thumbnails' && path.endsWith('.webp');
}

function exists(path: string): Promise<boolean> {
  return stat(bytesOf(path)).then(
    () => true,
    () => false,
  );
}
