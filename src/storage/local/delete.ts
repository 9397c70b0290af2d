/** One delete in a local store: the commit replaces the row with a tombstone, then the files are unlinked. */
import { unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ChangeOutcome } from '../catalog/catalog.ts';
import { ifPresent, isOfOneFile } from '../disk/files.ts';
import { toStorageError } from '../domain/errors.ts';
import type { Logger } from '../domain/logger.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { ProviderContext } from '../types.ts';
import { syncFolders } from './recover.ts';
import { giveUpReserve } from './reserve.ts';
import type { LocalStore } from './store.ts';

const BATCH = 500;

/** The part of LocalStore that unlinking needs; it exists before the store is open. */
export type Unlinking = Pick<LocalStore, 'layout' | 'catalog' | 'byFilename'> & {
  context: Pick<ProviderContext, 'log' | 'failpoint'>;
};

/** Rejects with a StorageError, `outcomeUnknown` where the image may be gone. */
export async function deleteImage(store: LocalStore, filename: string, sparePinned: boolean): Promise<ChangeOutcome> {
  const deleteTime = store.context.now();
  const outcome = await commit(store, filename, deleteTime, sparePinned);
  if (!outcome.done) return outcome;
  store.unlinksPending = true;
  await note(store, outcome.record, deleteTime, sparePinned);
  try {
    await unlinkInTurn(store, filename);
  } catch (error) {
    const { log, name: provider } = store.context;
    log.warn({ err: error, provider, filename }, 'the files of a deleted image stay for now');
  }
  return outcome;
}

/** Gives up the reserve and tries once more when the disk is full. */
async function commit(
  { committer, layout }: LocalStore,
  filename: string,
  deleteTime: number,
  sparePinned: boolean,
): Promise<ChangeOutcome> {
  const submit = () => committer.submit({ kind: 'delete', filename, deleteTime, sparePinned }, []);
  try {
    return await submit();
  } catch (error) {
    if (toStorageError(error).reason !== 'DISK_FULL') throw error;
    // Retried even if there was no reserve left: another delete of the same group may have given it up.
    await giveUpReserve(layout);
    return submit();
  }
}

async function note(
  { audit, context }: LocalStore,
  record: ImageRecord,
  deleteTime: number,
  sparePinned: boolean,
): Promise<void> {
  try {
    await audit.deleted(record, sparePinned ? 'cleanup' : 'delete', deleteTime);
  } catch (error) {
    context.log.warn({ err: error, provider: context.name }, 'a delete is missing in the audit log');
  }
}

/** Unlinks the files left of deleted images and clears their pending marks. What cannot be unlinked stays pending. */
export async function finishUnlinks(store: Unlinking): Promise<void> {
  const { layout, catalog, context } = store;
  for (;;) {
    const pending = (await catalog.pendingUnlinks(BATCH)).map((record) => record.filename);
    const unlinks = await Promise.allSettled(pending.map((filename) => unlinkInTurn(store, filename)));
    const done = pending.filter((_, index) => unlinks[index]!.status === 'fulfilled');
    for (const unlinked of unlinks) if (unlinked.status === 'rejected') warnOfUnlink(unlinked.reason, context.log);
    if (done.length === 0) return;
    await syncFolders([
      layout.staging,
      ...done.flatMap((name) => [dirname(layout.image(name)), dirname(layout.record(name))]),
    ]);
    context.failpoint('unlinks-synced');
    await catalog.clearPendingUnlinks(done);
  }
}

function warnOfUnlink(error: unknown, log: Logger): void {
  if (!isOfOneFile(error)) throw error;
  log.warn({ err: error }, 'a file of a deleted image cannot be unlinked; it is tried again');
}

/** Unlinks all names of a deleted image, the image last: while it exists, a rebuild takes unlinks as pending. */
function unlinkInTurn({ byFilename, layout, context }: Unlinking, filename: string): Promise<void> {
  const record = layout.record(filename);
  const staged = [layout.stagedRecord(filename), layout.part(filename)];
  return byFilename.run(filename, async () => {
    for (const path of [...staged, `${record}.tmp`, record, layout.image(filename)]) {
      await ifPresent(unlink(path));
      context.failpoint('unlinked');
    }
  });
}
