/**
 * Keeps the generation of a store's catalog outside of the catalog, so that a start recognizes a catalog that is older
 * than its folder.
 */
import { mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { OpenState } from '../catalog/sqlite/opening.ts';
import { ifPresent, readText, replaceFile, syncFolder } from '../disk/files.ts';
import type { Layout } from './layout.ts';

/** An empty folder beside the images: it stays when all of `metadata/` is restored from a backup. */
const MARKER = /^\.generation-(\d{1,15})$/;

/** Returns the newest generation that the folder knows, or 0. */
export async function readGeneration(layout: Layout): Promise<number> {
  const { inMetadata, besideImages } = await readGenerations(layout);
  return Math.max(inMetadata, besideImages);
}

/** Returns the generations in `metadata/` and beside the images, each 0 where there is none. */
export async function readGenerations(layout: Layout): Promise<{ inMetadata: number; besideImages: number }> {
  const text = (await readText(layout.generation)) ?? '';
  const besideImages = Math.max(0, ...(await markers(layout)).map(generationIn));
  return { inMetadata: /^\d{1,15}\n$/.test(text) ? Number(text) : 0, besideImages };
}

/** Writes both, durably. */
export async function writeGeneration(layout: Layout, generation: number): Promise<void> {
  await replaceFile(layout.generation, `${generation}\n`);
  const root = dirname(layout.images);
  const name = `.generation-${generation}`;
  const [marker, ...others] = (await markers(layout)).filter((found) => found !== name);
  if (marker === undefined) await mkdir(join(root, name), { recursive: true });
  else await rename(join(root, marker), join(root, name));
  for (const other of others) await rmdir(join(root, other));
  await syncFolder(root);
}

/**
 * Returns whether an opened catalog has all that was committed in its folder. An unclean one at the folder's generation
 * was last opened by a version that raises none, or by a start that did not complete.
 */
export function isNewest({ clean, whole, generation }: OpenState, known: number, asClosed: boolean): boolean {
  if (!whole || generation < known) return false;
  return clean ? asClosed : generation > known;
}

async function markers(layout: Layout): Promise<string[]> {
  const names = (await ifPresent(readdir(dirname(layout.images)))) ?? [];
  return names.filter((name) => MARKER.test(name));
}

function generationIn(marker: string): number {
  return Number(MARKER.exec(marker)![1]);
}
