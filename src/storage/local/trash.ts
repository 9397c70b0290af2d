/** The trash of a local store: a delete commits, then moves the files; a restore moves them, then commits. */

import type { ChangeOutcome } from '../catalog/catalog.ts';
import { inodeOf, unlinkIfPresent } from '../disk/files.ts';
import { writePlain } from '../disk/plain-files.ts';
import { removePreviews } from '../disk/preview-files.ts';
import { revisionOf } from '../domain/changes.ts';
import { StorageError } from '../domain/errors.ts';
import type { ImageRecord, TrashedRecord } from '../domain/record.ts';
import { formatRecord } from '../domain/record-file.ts';
import { isChanged, noteDelete, type Spared, takeBack, unlinkAll, warnOfFiles } from './delete.ts';
import { syncFolders } from './recover.ts';
import type { LocalStore } from './store.ts';
import { foldersOf, moveFromTrash, moveToTrash, recordOf } from './trash-files.ts';
import { placeRecord } from './update.ts';

/** Puts an image into the trash. Rejects with a StorageError, `outcomeUnknown` where the image may be there. */
export async function trashImage(
  store: LocalStore,
  filename: string,
  spared: Spared,
  keepMs: number,
): Promise<ChangeOutcome & { purgeTime?: number }> {
  const { committer, reserve, byFilename, context } = store;
  const { sparePinned } = spared;
  try {
    // To the last file: no other work on the image may find its files elsewhere than the row says.
    return await byFilename.run(filename, async () => {
      if (await isChanged(store, filename, spared)) return { done: false, why: 'changed' };
      const deleteTime = context.now();
      const times = { deleteTime, purgeTime: deleteTime + keepMs };
      const change = { kind: 'delete', filename, sparePinned, ...times } as const;
      const outcome = await reserve.lend(() => committer.submit(change, []));
      if (!outcome.done) return outcome;
      store.unlinksPending = true;
      await warnOfFiles(store, filename, async () => {
        await reserve.lend(() => moveToTrash(store, outcome.record));
        store.moved.add(filename);
      });
      await noteDelete(store, outcome.record, sparePinned ? 'cleanup' : 'delete', times);
      return { ...outcome, purgeTime: times.purgeTime };
    });
  } finally {
    if (!reserve.isWhole) await takeBack(store);
  }
}

/**
 * Makes a tombstone of an image in the trash, and unlinks its files, unless it is purged only after `dueBy`. Rejects as
 * `trashImage`.
 */
export async function purgeImage(store: LocalStore, filename: string, dueBy?: number): Promise<ChangeOutcome> {
  const { committer, reserve, byFilename, context, layout } = store;
  try {
    return await byFilename.run(filename, async () => {
      const deleteTime = context.now();
      const change = { kind: 'purge', filename, deleteTime, ...(dueBy !== undefined && { dueBy }) } as const;
      const outcome = await reserve.lend(() => committer.submit(change, []));
      if (!outcome.done) return outcome;
      store.unlinksPending = true;
      await noteDelete(store, outcome.record, 'delete', { deleteTime });
      await warnOfFiles(store, filename, () => unlinkAll(store, filename));
      await removePreviews(layout.previews, outcome.record);
      return outcome;
    });
  } finally {
    if (!reserve.isWhole) await takeBack(store);
  }
}

/** Makes an image of the trash live. Rejects with BYTES_MISSING, or as `trashImage`; a failure leaves it in the trash. */
export async function restoreImage(store: LocalStore, filename: string): Promise<ChangeOutcome> {
  try {
    return await store.byFilename.run(filename, () => restore(store, filename));
  } finally {
    if (!store.reserve.isWhole) await takeBack(store);
  }
}

async function restore(store: LocalStore, filename: string): Promise<ChangeOutcome> {
  const { catalog, committer, reserve, context } = store;
  const row = await catalog.findTrashed(filename);
  if (row !== undefined) await checkBytes(store, row);
  const begun = await reserve.lend(() => committer.submit({ kind: 'restoring', filename }, []));
  if (!begun.done || row === undefined) return begun;
  store.moved.delete(filename);
  store.unlinksPending = true;
  try {
    await reserve.lend(() => bringBack(store, row));
    const change = { kind: 'restore', filename, time: context.now() } as const;
    // A name is durable in its new folder before it goes from the old one. Not by the commit: one of them may not exist.
    const folders = foldersOf(store.layout, filename);
    await syncFolders(folders.slice(2));
    await syncFolders(folders.slice(0, 2));
    context.failpoint('restored-synced');
    const outcome = await reserve.lend(() => committer.submit(change, []));
    if (outcome.done) await placeRecord(store, filename);
    return outcome;
  } catch (error) {
    throw await withdraw(store, row, error);
  }
}

/** Stages the record as it will be, and moves the files. */
async function bringBack(store: LocalStore, row: TrashedRecord): Promise<void> {
  const { layout, folders, audit, context } = store;
  const { expireTime: _, ...record } = recordOf(row);
  // Before the commit: after a crash between the two, a rebuild must not drop the image for its delete.
  await audit.broughtBack(record, 'adopt', context.now());
  const staged = layout.stagedRecord(row.filename);
  const restored = { ...record, revision: revisionOf(record) + 1 };
  await folders.within(layout.staging, () => writePlain(staged, formatRecord(restored)));
  await folders.setFileMode(staged);
  context.failpoint('restore-staged');
  await moveFromTrash(store, row);
}

async function checkBytes({ layout }: LocalStore, { filename }: ImageRecord): Promise<void> {
  // In the live tree, too: an earlier attempt may have moved them.
  for (const path of [layout.trashedImage(filename), layout.image(filename)]) {
    if ((await inodeOf(path)) !== undefined) return;
  }
  throw new StorageError('BYTES_MISSING', 'the image is in the trash, and its file is gone');
}

/** Moves the files back, unless the outcome is unknown: then the restart decides. */
async function withdraw(store: LocalStore, row: TrashedRecord, error: unknown): Promise<Error> {
  const { layout, condition, reserve } = store;
  const folded = await condition.fold(error);
  if (folded.outcomeUnknown) return folded;
  await warnOfFiles(store, row.filename, async () => {
    await unlinkIfPresent(layout.stagedRecord(row.filename));
    await reserve.lend(() => moveToTrash(store, row));
  });
  return folded;
}
