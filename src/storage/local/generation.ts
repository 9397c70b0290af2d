/** Keeps outside of a catalog how far it has come, so that a start recognizes a catalog that is older than its folder. */
import { mkdir, readdir, rename, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { OpenState } from '../catalog/sqlite/opening.ts';
import { ifPresent, readText, replaceFile, syncFolder } from '../disk/files.ts';
import type { Layout } from './layout.ts';

/** How far a catalog has come. */
export interface Progress {
  /** Its generation at the last start or clean stop; 0 when unknown. */
  generation: number;
  /** The highest sequence of its rows. */
  sequence: number;
}

const NUMBERS = /^(\d{1,15}) (\d{1,15})\n$/;
/** An empty folder beside the images: it stays when all of `metadata/` is restored from a backup. */
const MARKER = /^\.generation-(\d{1,15})-(\d{1,15})$/;

/** Returns the newest progress that the folder knows. */
export async function readProgress(layout: Layout): Promise<Progress> {
  const { inMetadata, besideImages } = await readWitnesses(layout);
  return isBelow(inMetadata, besideImages) ? besideImages : inMetadata;
}

/** Returns whether `metadata/` is older than what is beside the images. */
export async function isMetadataOlder(layout: Layout): Promise<boolean> {
  const { inMetadata, besideImages } = await readWitnesses(layout);
  return inMetadata.generation < besideImages.generation;
}

/** Writes it to `metadata/` and beside the images, durably. */
export async function writeProgress(layout: Layout, progress: Progress): Promise<void> {
  await replaceFile(layout.generation, textOf(progress));
  await placeMarker(layout, progress);
  await syncFolder(dirname(layout.images));
}

/** Writes it to both without a sync: after a power cut an earlier one may be found. */
export async function noteProgress(layout: Layout, progress: Progress): Promise<void> {
  await placeMarker(layout, progress);
  const temporary = `${layout.generation}.tmp`;
  await writeFile(temporary, textOf(progress));
  await rename(temporary, layout.generation);
}

function textOf({ generation, sequence }: Progress): string {
  return `${generation} ${sequence}\n`;
}

async function placeMarker(layout: Layout, { generation, sequence }: Progress): Promise<void> {
  const root = dirname(layout.images);
  const name = `.generation-${generation}-${sequence}`;
  const found = await markers(layout);
  const [marker, ...others] = found.filter((other) => other !== name);
  if (found.includes(name)) {
    if (marker !== undefined) others.push(marker);
  } else if (marker === undefined) await mkdir(join(root, name));
  else await rename(join(root, marker), join(root, name));
  for (const other of others) await rmdir(join(root, other));
}

/**
 * Returns whether an opened catalog has all that was committed in its folder. An unclean one at the folder's generation
 * was last opened by a version that raises none, or by a start that did not complete.
 */
export function isNewest(
  { clean, whole, generation, sequence }: OpenState & { sequence: number },
  known: Progress,
  asClosed: boolean,
): boolean {
  if (!whole || generation < known.generation || sequence < known.sequence) return false;
  return clean ? asClosed : generation > known.generation;
}

/**
 * Returns whether a store was opened after the last note, as by a version that notes no progress: the start of every
 * version makes a link in the folder of the images. Requires that this start has not made its own.
 */
export async function wasOpenedSince(layout: Layout): Promise<boolean> {
  const noted = (await mtimeOf(layout.generation)) ?? (await mtimeOf(layout.clean));
  const opened = await mtimeOf(layout.images);
  return noted !== undefined && opened !== undefined && opened > noted;
}

async function mtimeOf(path: string): Promise<bigint | undefined> {
  return (await ifPresent(stat(path, { bigint: true })))?.mtimeNs;
}

async function readWitnesses(layout: Layout): Promise<{ inMetadata: Progress; besideImages: Progress }> {
  const inMetadata = progressIn(NUMBERS.exec((await readText(layout.generation)) ?? ''));
  const marked = (await markers(layout)).map((name) => progressIn(MARKER.exec(name)));
  const besideImages = marked.reduce((newest, each) => (isBelow(newest, each) ? each : newest), progressIn(null));
  return { inMetadata, besideImages };
}

function progressIn(match: RegExpExecArray | null): Progress {
  const [, generation = 0, sequence = 0] = match ?? [];
  return { generation: Number(generation), sequence: Number(sequence) };
}

/** Sequences begin anew in a catalog that was rebuilt, whose generation is higher. */
function isBelow(one: Progress, other: Progress): boolean {
  const generations = one.generation - other.generation;
  return generations < 0 || (generations === 0 && one.sequence < other.sequence);
}

async function markers(layout: Layout): Promise<string[]> {
  const names = (await ifPresent(readdir(dirname(layout.images)))) ?? [];
  return names.filter((name) => MARKER.test(name));
}
