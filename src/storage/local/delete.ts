/** One delete in a local store: the commit replaces the row with a tombstone, then the files are unlinked. */
import { unlink } from 'node:fs/promises';
import type { ChangeOutcome, Moment, PendingUnlink } from '../catalog/catalog.ts';
import { type Folders, ifPresent, isOfOneFile, syncFile } from '../disk/files.ts';
import { removePreviews } from '../disk/preview-files.ts';
import type { Logger } from '../domain/logger.ts';
import type { ImageRecord, TrashTimes } from '../domain/record.ts';
import type { ProviderContext } from '../types.ts';
import type { DeletedBy } from './audit-log.ts';
import { syncFolders } from './recover.ts';
import type { LocalStore } from './store.ts';
import { foldersOf, moveToTrash, restoreTrashedRecord, unlinkRests } from './trash-files.ts';

const BATCH = 500;
/** Upkeep clears the marks every second. */
const MOST_CUT_OFF = 100_000;

/** The part of LocalStore that unlinking needs; it exists before the store is open. */
export type Unlinking = Pick<LocalStore, 'layout' | 'catalog' | 'byFilename'> & {
  moved?: LocalStore['moved'];
  folders: Folders;
  context: Pick<ProviderContext, 'log' | 'failpoint'>;
};

type Noting = Pick<LocalStore, 'catalog' | 'audit' | 'byFilename' | 'reserve' | 'context'>;

/** Which images a delete spares: pinned ones, and those that the catalog learnt or changed after a moment. */
export interface Spared {
  sparePinned: boolean;
  unchangedSince?: Moment | undefined;
}

/** Deletes an image for good. Rejects with a StorageError, `outcomeUnknown` where the image may be gone. */
export async function deleteImage(store: LocalStore, filename: string, spared: Spared): Promise<ChangeOutcome> {
  const { committer, reserve, byFilename, context, layout } = store;
  const { sparePinned } = spared;
  try {
    return await byFilename.run(filename, async () => {
      if (await isChanged(store, filename, spared)) return { done: false, why: 'changed' };
      // In its turn: the log has it after what brought the image back before.
      const deleteTime = context.now();
      const change = { kind: 'delete', filename, deleteTime, sparePinned } as const;
      const outcome = await reserve.lend(() => committer.submit(change, []));
      if (!outcome.done) return outcome;
      store.unlinksPending = true;
      await noteDelete(store, outcome.record, sparePinned ? 'cleanup' : 'delete', { deleteTime });
      await warnOfFiles(store, filename, () => unlinkLive(store, filename));
      await removePreviews(layout.previews, outcome.record);
      return outcome;
    });
  } finally {
    if (!reserve.isWhole) await takeBack(store);
  }
}

/** Requires the turn of the image, in which nothing else changes it. */
export async function isChanged(
  { catalog }: Pick<LocalStore, 'catalog'>,
  filename: string,
  { unchangedSince }: Spared,
): Promise<boolean> {
  return unchangedSince !== undefined && (await catalog.changedSince([filename], unchangedSince)).length > 0;
}

/** What the delete has freed goes to the reserve before it goes to saves. */
export async function takeBack({ condition, reserve, context }: LocalStore): Promise<void> {
  try {
    await condition.checkWritable();
    await reserve.take();
  } catch (error) {
    context.log.warn({ err: error, provider: context.name }, 'the reserve could not be taken again');
  }
}

/** Runs work on the files of a deleted image. What fails is left to upkeep, or to a restart where a name is in doubt. */
export async function warnOfFiles(
  { condition, context: { log, name: provider } }: LocalStore,
  filename: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    log.warn({ err: error, provider, filename }, 'the files of a deleted image stay for now');
    await condition.fold(error);
  }
}

/** Writes the line of a committed delete; with a `purgeTime`, into the trash. */
export function noteDelete(
  store: LocalStore,
  record: ImageRecord,
  by: DeletedBy,
  times: Pick<TrashTimes, 'deleteTime'> & Partial<TrashTimes>,
): Promise<void> {
  return warnOfLog(store, () => store.audit.deleted(record, by, times));
}

/**
 * Writes the lines of deletes that a crash may have cut off before them. A start unlinks their files one by one, and where
 * the catalog is lost meanwhile only the log tells that what is left stays deleted. A line twice says the same.
 */
export async function noteCutOff(store: Noting): Promise<void> {
  const { catalog, audit, byFilename } = store;
  const pending = await catalog.pendingUnlinks(MOST_CUT_OFF);
  const note = async (image: PendingUnlink) => {
    const [state] = await catalog.rowStates([image.filename]);
    if (state !== 'unlinking') return;
    await warnOfLog(store, () => audit.deleted(image, 'delete', { deleteTime: image.deleteTime }));
  };
  const deleted = pending.filter(({ inTrash }) => !inTrash);
  await Promise.all(deleted.map((image) => byFilename.run(image.filename, () => note(image))));
}

async function warnOfLog({ context, reserve }: Noting, note: () => Promise<void>): Promise<void> {
  try {
    await reserve.lend(note);
  } catch (error) {
    context.log.warn({ err: error, provider: context.name }, 'a delete is missing in the audit log');
  }
}

/**
 * Brings the files of deleted images where they belong: unlinks those of tombstones, moves the others into the trash. Clears
 * the marks of those that are done; what cannot be done stays pending.
 */
export async function finishUnlinks(store: Unlinking): Promise<void> {
  while (await finishBatch(store));
}

/** Returns whether there may be more. */
async function finishBatch(store: Unlinking): Promise<boolean> {
  const { layout, catalog, context } = store;
  const pending = await catalog.pendingUnlinks(BATCH);
  const works = await Promise.allSettled(pending.map((each) => finishInTurn(store, each)));
  const done = pending.filter((_, index) => works[index]!.status === 'fulfilled');
  for (const work of works) if (work.status === 'rejected') warnOfUnlink(work.reason, context.log);
  if (done.length === 0) return false;
  const folders = done.map(({ filename }) => foldersOf(layout, filename));
  const inTrash = folders.flatMap((of) => of.slice(0, 2));
  // A name is durable in its new folder before it goes from the old one.
  await syncFolders(inTrash);
  await syncFolders([layout.staging, ...folders.flatMap((of) => of.slice(2))]);
  context.failpoint('unlinks-synced');
  await catalog.clearPendingUnlinks(done);
  return true;
}

function warnOfUnlink(error: unknown, log: Logger): void {
  if (!isOfOneFile(error)) throw error;
  log.warn({ err: error }, 'a file of a deleted image cannot be unlinked; it is tried again');
}

function finishInTurn(store: Unlinking, pending: PendingUnlink): Promise<void> {
  const { filename } = pending;
  const { byFilename, catalog, layout } = store;
  return byFilename.run(filename, async () => {
    const isMoved = store.moved?.delete(filename) ?? false;
    const [state] = await catalog.rowStates([filename]);
    if (state === 'unlinking') {
      await unlinkAll(store, filename);
      return removePreviews(layout.previews, pending);
    }
    if (state !== 'trashing') return;
    if (!isMoved || !(await syncFile(layout.trashedRecord(filename)))) await finishMove(store, filename);
    await unlinkRests(store, filename);
  });
}

async function finishMove(store: Unlinking, filename: string): Promise<void> {
  const row = await store.catalog.findTrashed(filename);
  if (row === undefined) return;
  await moveToTrash(store, row);
  await restoreTrashedRecord(store, row);
}

/** Unlinks all names of a deleted image in both trees. Requires its turn. */
export async function unlinkAll(store: Pick<Unlinking, 'layout' | 'context'>, filename: string): Promise<void> {
  const { layout } = store;
  await unlinkEach(store, [layout.trashedRecord(filename)]);
  await unlinkLive(store, filename);
  await unlinkEach(store, [layout.trashedImage(filename)]);
}

/** The image last: while it exists, a rebuild takes unlinks as pending. */
function unlinkLive(store: Pick<Unlinking, 'layout' | 'context'>, filename: string): Promise<void> {
  const { layout } = store;
  const record = layout.record(filename);
  const staged = [layout.stagedRecord(filename), layout.part(filename)];
  return unlinkEach(store, [...staged, `${record}.tmp`, record, layout.image(filename)]);
}

async function unlinkEach({ context }: Pick<Unlinking, 'context'>, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await ifPresent(unlink(path));
    context.failpoint('unlinked');
  }
}
