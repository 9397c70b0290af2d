/** Recovers a local store at its start, by the catalog: restores records and settles the uploads in staging. */
import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { KeyedQueue } from '../async/keyed-queue.ts';
import type { ImageIndex, LocalCatalog } from '../catalog/catalog.ts';
import {
  type Folders,
  hasCode,
  ifPresent,
  inodeOf,
  isOfOneFile,
  linkNew,
  placeFile,
  readText,
  sha256Of,
  syncFile,
  syncFolder,
  unlinkIfPresent,
  unlinkIfSame,
} from '../disk/files.ts';
import { NotPlainError, statPlain } from '../disk/plain-files.ts';
import { isCurrent } from '../domain/fingerprint.ts';
import type { Logger } from '../domain/logger.ts';
import { folderOf } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import { formatRecord, parseRecord } from '../domain/record-file.ts';
import type { ProviderContext } from '../types.ts';
import type { Layout } from './layout.ts';
import { moveToTrash, restoreTrashedRecord, unlinkRests } from './trash-files.ts';

const BATCH = 500;

/** The part of LocalStore that recovery needs; it exists before the store is open. */
export interface Recovering {
  layout: Layout;
  catalog: LocalCatalog;
  folders: Folders;
  byFilename: KeyedQueue;
  context: Pick<ProviderContext, 'log' | 'failpoint'>;
}

/**
 * Restores and syncs the records of the last minute before the stop, up to a sequence: a power cut may have torn them.
 */
export async function restoreRecords(recovering: Recovering, upTo: number): Promise<void> {
  const { catalog, context } = recovering;
  for (;;) {
    const rows = (await catalog.unsyncedRecords(BATCH)).filter(({ sequence }) => sequence <= upTo);
    await restoreEach(recovering, rows);
    context.failpoint('records-restored');
    const last = rows.at(-1);
    if (last === undefined) return;
    await catalog.setRecordsSynced(last.sequence);
  }
}

/** Writes and syncs the record files of updated images that may be older than their rows. */
export async function restoreUpdated(recovering: Recovering): Promise<void> {
  const { catalog, context } = recovering;
  for (;;) {
    const rows = await catalog.updatedRecords(BATCH);
    if (rows.length === 0) return;
    await restoreEach(recovering, rows);
    context.failpoint('updates-restored');
    await catalog.setUpdatedSynced(rows);
  }
}

function restoreEach(recovering: Recovering, rows: readonly { filename: string }[]): Promise<void> {
  const { layout, catalog, folders, byFilename } = recovering;
  return syncEach(recovering, rows, (filename) =>
    byFilename.run(filename, () => restoreRecord(layout, folders, catalog, filename)),
  );
}

/** Does the work that syncs each record file, then syncs their folders. */
export async function syncEach(
  { layout, context }: Pick<Recovering, 'layout' | 'context'>,
  rows: readonly { filename: string }[],
  syncRecord: (filename: string) => Promise<void>,
): Promise<void> {
  await Promise.all(rows.map(({ filename }) => unlessNotPlain(syncRecord(filename), context.log)));
  await syncFolders(rows.map(({ filename }) => dirname(layout.record(filename))));
}

/** Waits for work on one record. Logs that something else is in its place, which `verify` reports, too. */
async function unlessNotPlain(work: Promise<void>, log: Logger): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof NotPlainError)) throw error;
    log.warn({ err: error }, 'a record cannot be written; verify reports it');
  }
}

/** Makes sure that the record file of an image is whole, current and synced, unless the image was deleted meanwhile. */
export async function restoreRecord(
  layout: Layout,
  folders: Folders,
  catalog: Pick<ImageIndex, 'find'>,
  filename: string,
): Promise<void> {
  const record = await catalog.find(filename);
  if (record === undefined) return;
  const path = layout.record(filename);
  const found = parseRecord((await readText(path)) ?? '', record.filename);
  if (found !== undefined && isCurrent(found, record)) {
    await syncFile(path);
    return;
  }
  await folders.within(dirname(path), () => placeFile(path, formatRecord(record)));
  await folders.setFileMode(path);
}

/** Returns the filenames of the uploads in staging. */
export async function stagedUploads({ staging }: Layout): Promise<ReadonlySet<string>> {
  return new Set((await readdir(staging)).flatMap((name) => /^(.+)\.(?:part|json)$/.exec(name)?.[1] ?? []));
}

/** Completes or removes each of these uploads in staging, as the catalog decides. What fails is left to the next start. */
export async function settleStaging(recovering: Recovering, staged: ReadonlySet<string>): Promise<void> {
  const { layout, byFilename, context } = recovering;
  for (const filename of staged) {
    try {
      await byFilename.run(filename, () => settleStaged(recovering, filename));
    } catch (error) {
      if (!isOfOneFile(error)) throw error;
      context.log.warn({ err: error, filename }, 'an upload stays in staging');
    }
    context.failpoint('staged-settled');
  }
  await syncFolder(layout.staging);
}

async function settleStaged(recovering: Recovering, filename: string): Promise<void> {
  for (const path of [recovering.layout.part(filename), recovering.layout.stagedRecord(filename)]) {
    await ifPresent(statPlain(path));
  }
  const { catalog } = recovering;
  const isOurs = folderOf(filename) !== undefined;
  const row = isOurs ? await catalog.find(filename) : undefined;
  if (row !== undefined) return placeStaged(recovering, row);
  const trashed = isOurs ? await catalog.findTrashed(filename) : undefined;
  if (trashed === undefined) return dropStaged(recovering.layout, filename);
  await linkPart(recovering, trashed, recovering.layout.trashedImage(filename));
  await moveToTrash(recovering, trashed);
  await restoreTrashedRecord(recovering, trashed);
  await unlinkRests(recovering, filename);
  // `finishUnlinks` syncs the folders.
}

/** Removes an upload that was never committed. */
async function dropStaged(layout: Layout, filename: string): Promise<void> {
  const part = layout.part(filename);
  const inode = await inodeOf(part);
  await unlinkIfPresent(layout.stagedRecord(filename));
  if (inode !== undefined && folderOf(filename) !== undefined) await unlinkIfSame(layout.image(filename), inode);
  await unlinkIfPresent(part);
}

/** Brings the staged files of a committed image to their final paths. */
async function placeStaged(recovering: Recovering, row: ImageRecord): Promise<void> {
  const { layout, folders, catalog } = recovering;
  const [part, image] = [layout.part(row.filename), layout.image(row.filename)];
  await linkPart(recovering, row, image);
  await restoreRecord(layout, folders, catalog, row.filename);
  await syncFolders([dirname(image), dirname(layout.record(row.filename))]);
  await unlinkIfPresent(layout.stagedRecord(row.filename));
  await unlinkIfPresent(part);
}

/** Gives the bytes of an upload that has no image this name. */
async function linkPart({ layout, folders }: Recovering, row: ImageRecord, path: string): Promise<void> {
  const [part, image] = [layout.part(row.filename), layout.image(row.filename)];
  if ((await inodeOf(image)) !== undefined || (await inodeOf(path)) !== undefined || !(await holds(part, row))) return;
  await folders.within(dirname(path), () => linkNew(part, path));
}

/** Returns whether the path is a plain file with the size and sha256 of the record. */
export async function holds(path: string, record: ImageRecord): Promise<boolean> {
  try {
    return (await statPlain(path)).size === record.size && (await sha256Of(path)) === record.sha256;
  } catch (error) {
    if (error instanceof NotPlainError || hasCode(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/** Syncs each folder once. A folder that is gone needs no sync. */
export async function syncFolders(folders: readonly string[]): Promise<void> {
  await Promise.all([...new Set(folders)].map((folder) => ifPresent(syncFolder(folder))));
}
