/** Moves the files of an image into the trash of a local store and out of it. Each move may be repeated after a crash. */
import { rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  type Folders,
  hasCode,
  inodeOf,
  isSame,
  linkNew,
  placeFile,
  readText,
  sha256Of,
  syncFile,
  unlinkIfPresent,
} from '../disk/files.ts';
import { NotPlainError } from '../disk/plain-files.ts';
import { isCurrent } from '../domain/fingerprint.ts';
import type { ImageRecord, TrashedRecord } from '../domain/record.ts';
import { formatRecord, parseRecord } from '../domain/record-file.ts';
import type { ProviderContext } from '../types.ts';
import type { Layout } from './layout.ts';

/** The part of LocalStore that moves need; it exists before the store is open. */
export interface Moving {
  layout: Layout;
  folders: Folders;
  context: Pick<ProviderContext, 'failpoint'>;
}

/** The record goes first, and the image last: while one of them is in the trash, a rebuild takes the image for trashed. */
export async function moveToTrash({ layout, folders, context }: Moving, image: ImageRecord): Promise<void> {
  const { filename } = image;
  const [record, trashed] = [layout.record(filename), layout.trashedRecord(filename)];
  // What is staged is newer: an update, or a save that is not settled.
  const staged = layout.stagedRecord(filename);
  const isStaged = (await inodeOf(staged)) !== undefined;
  if (isStaged && (await moveRecord(folders, staged, trashed))) await unlinkIfPresent(record);
  else await moveRecord(folders, record, trashed);
  context.failpoint('record-trashed');
  await moveBytes(folders, layout.image(filename), layout.trashedImage(filename), image.sha256);
  context.failpoint('image-trashed');
}

/** Unlinks what a crash, or a save that is not settled, may have left of an image in the trash. */
export async function unlinkRests({ layout }: Moving, filename: string): Promise<void> {
  for (const path of [`${layout.record(filename)}.tmp`, layout.part(filename)]) await unlinkIfPresent(path);
}

/** The image goes first: a row that is live has its bytes in the live tree. */
export async function moveFromTrash({ layout, folders, context }: Moving, image: ImageRecord): Promise<void> {
  const { filename } = image;
  await moveBytes(folders, layout.trashedImage(filename), layout.image(filename), image.sha256);
  context.failpoint('image-brought-back');
  await moveRecord(folders, layout.trashedRecord(filename), layout.record(filename));
  context.failpoint('record-brought-back');
}

/** Makes sure that the record of an image in the trash is whole, of the row's revision, and on stable storage. */
export async function restoreTrashedRecord({ layout, folders }: Moving, row: TrashedRecord): Promise<void> {
  const path = layout.trashedRecord(row.filename);
  const found = parseRecord((await readText(path)) ?? '', row.filename);
  if (found !== undefined && isCurrent(found, row)) {
    await syncFile(path);
    return;
  }
  await folders.within(dirname(path), () => placeFile(path, formatRecord(recordOf(row))));
  await folders.setFileMode(path);
}

/** Returns the record without the times of the trash, which its file does not have. */
export function recordOf({ deleteTime: _, purgeTime: __, ...record }: TrashedRecord): ImageRecord {
  return record;
}

/** Returns all folders that have files of this image, those of the trash first. */
export function foldersOf(layout: Layout, filename: string): string[] {
  const { staging } = layout;
  const trashed = [layout.trashedImage(filename), layout.trashedRecord(filename)];
  return [...[...trashed, layout.image(filename), layout.record(filename)].map((path) => dirname(path)), staging];
}

/** Replaces what is there: the row is the truth about an image. Returns false where there is no record to move. */
async function moveRecord(folders: Folders, from: string, to: string): Promise<boolean> {
  return unlessMissing(folders, from, to, async () => {
    await rename(from, to);
    return true;
  });
}

/** Never overwrites the bytes that were saved. Leaves both files where neither has them, for `verify`. */
async function moveBytes(folders: Folders, from: string, to: string, sha256: string): Promise<void> {
  let isTaken = false;
  await unlessMissing(folders, from, to, async () => {
    if (await linkNew(from, to)) await unlink(from);
    else isTaken = true;
    return true;
  });
  const inode = isTaken ? await inodeOf(from) : undefined;
  if (inode === undefined) return;
  if ((await isSame(to, inode)) || (await hasBytes(to, sha256))) await unlink(from);
  else if (await hasBytes(from, sha256)) await rename(from, to);
}

/** Moves a file, in most cases in one step. Returns false where there is none. */
async function unlessMissing(
  folders: Folders,
  from: string,
  to: string,
  move: () => Promise<boolean>,
): Promise<boolean> {
  await folders.ensure(dirname(to));
  try {
    return await move();
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    if ((await inodeOf(from)) === undefined) return false;
    return folders.within(dirname(to), move);
  }
}

async function hasBytes(path: string, sha256: string): Promise<boolean> {
  try {
    return (await sha256Of(path)) === sha256;
  } catch (error) {
    if (error instanceof NotPlainError) return false;
    throw error;
  }
}
