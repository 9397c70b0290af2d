/** What a start puts right after an unclean stop, from the catalog: records, staging and half-done deletes. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, rename, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Catalog, ImageRecord } from '../catalog/types.ts';
import { folderOf } from '../naming.ts';
import { formatRecord, parseRecord } from '../record-file.ts';
import {
  type Folders,
  ifPresent,
  inodeOf,
  linkNew,
  readText,
  syncFile,
  syncFolder,
  unlinkIfPresent,
  unlinkIfSame,
} from './files.ts';
import type { Layout } from './layout.ts';
import { unlinkImage } from './store.ts';

const BATCH = 500;

/** What recovery works on; a part of LocalStore that exists before the store is open. */
export interface Recovering {
  layout: Layout;
  catalog: Catalog;
  folders: Folders;
  failpoint: (step: string) => void;
}

/** Writes again and syncs the records of the last minute that a power cut may have torn. */
export async function restoreRecords({ layout, catalog, folders, failpoint }: Recovering): Promise<void> {
  for (;;) {
    const rows = await catalog.unsyncedRecords(Number.MAX_SAFE_INTEGER, BATCH);
    await Promise.all(rows.map(({ record }) => restoreRecord(layout, folders, record)));
    await syncFolders(rows.map(({ record }) => dirname(layout.record(record.filename))));
    failpoint('records-restored');
    const last = rows.at(-1);
    if (last === undefined) return;
    await catalog.setRecordsSynced(last.sequence);
  }
}

/** Leaves a whole, synced record file of a live row. */
export async function restoreRecord(layout: Layout, folders: Folders, record: ImageRecord): Promise<void> {
  const path = layout.record(record.filename);
  const found = parseRecord((await readText(path)) ?? '', record.filename);
  if (found?.fingerprint === record.fingerprint && found.sha256 === record.sha256) {
    await syncFile(path);
    return;
  }
  await folders.within(dirname(path), () => writeRecord(path, record));
}

async function writeRecord(path: string, record: ImageRecord): Promise<void> {
  const temporary = `${path}.tmp`;
  await writeFile(temporary, formatRecord(record), { flush: true });
  await rename(temporary, path);
}

/** Decides every name in staging by the catalog, and leaves staging empty. */
export async function settleStaging(recovering: Recovering): Promise<void> {
  const { layout, catalog, failpoint } = recovering;
  const names = new Set((await readdir(layout.staging)).map((name) => name.replace(/\.(part|json)$/, '')));
  for (const filename of names) {
    const row = folderOf(filename) === undefined ? undefined : await catalog.find(filename);
    if (row === undefined) await dropStaged(layout, filename);
    else await placeStaged(recovering, row);
    failpoint('staged-settled');
  }
  await syncFolder(layout.staging);
}

/** An upload that was never committed. */
async function dropStaged(layout: Layout, filename: string): Promise<void> {
  const part = layout.part(filename);
  const inode = await inodeOf(part);
  if (inode !== undefined && folderOf(filename) !== undefined) await unlinkIfSame(layout.image(filename), inode);
  await unlinkIfPresent(layout.stagedRecord(filename));
  await unlinkIfPresent(part);
  await unlinkIfPresent(`${layout.staging}/${filename}`);
}

/** A committed image whose files had not all reached their places. */
async function placeStaged({ layout, folders }: Recovering, row: ImageRecord): Promise<void> {
  const [part, image] = [layout.part(row.filename), layout.image(row.filename)];
  if ((await inodeOf(image)) === undefined && (await holds(part, row))) {
    await folders.within(dirname(image), () => linkNew(part, image));
  }
  await restoreRecord(layout, folders, row);
  await syncFolders([dirname(image), dirname(layout.record(row.filename))]);
  await unlinkIfPresent(layout.stagedRecord(row.filename));
  await unlinkIfPresent(part);
}

/** Whether the file has exactly the bytes that the record tells of. */
export async function holds(path: string, record: ImageRecord): Promise<boolean> {
  if ((await ifPresent(stat(path)))?.size !== record.size) return false;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex') === record.sha256;
}

/** Unlinks what deleted images still have, and forgets that it was pending. Returns how many there were. */
export async function finishUnlinks(
  { layout, catalog, failpoint }: Omit<Recovering, 'folders'>,
  unlink = (filename: string) => unlinkImage(layout, filename, failpoint),
): Promise<number> {
  let count = 0;
  for (;;) {
    const pending = (await catalog.pendingUnlinks(BATCH)).map((record) => record.filename);
    if (pending.length === 0) return count;
    await Promise.all(pending.map(unlink));
    await syncFolders([
      layout.staging,
      ...pending.flatMap((name) => [dirname(layout.image(name)), dirname(layout.record(name))]),
    ]);
    failpoint('unlinks-synced');
    await catalog.clearPendingUnlinks(pending);
    count += pending.length;
  }
}

/** Syncs each of the folders once; one that is gone has nothing to sync. */
export async function syncFolders(folders: readonly string[]): Promise<void> {
  await Promise.all([...new Set(folders)].map((folder) => ifPresent(syncFolder(folder))));
}
