/** One delete in a local store: the commit replaces the row with a tombstone, then the files are unlinked. */
import { unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ChangeOutcome } from '../catalog/catalog.ts';
import { ifPresent, isOfOneFile } from '../disk/files.ts';
import type { Logger } from '../domain/logger.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { ProviderContext } from '../types.ts';
import { syncFolders } from './recover.ts';
import type { LocalStore } from './store.ts';

const BATCH = 500;

/** The part of LocalStore that unlinking needs; it exists before the store is open. */
export type Unlinking = Pick<LocalStore, 'layout' | 'catalog' | 'byFilename'> & {
  context: Pick<ProviderContext, 'log' | 'failpoint'>;
};

/** Rejects with a StorageError, `outcomeUnknown` where the image may be gone. */
export async function deleteImage(store: LocalStore, filename: string, sparePinned: boolean): Promise<ChangeOutcome> {
  const deleteTime = store.context.now();
  const { committer, reserve } = store;
  const change = { kind: 'delete', filename, deleteTime, sparePinned } as const;
  try {
    const outcome = await reserve.lend(() => committer.submit(change, []));
    if (!outcome.done) return outcome;
    store.unlinksPending = true;
    await note(store, outcome.record, deleteTime, sparePinned);
    await unlinkOrWarn(store, filename);
    return outcome;
  } finally {
    if (!reserve.isWhole) await takeBack(store);
  }
}

/** What the delete has freed goes to the reserve before it goes to saves. */
async function takeBack({ condition, reserve, context }: LocalStore): Promise<void> {
  try {
    await condition.checkWritable();
    await reserve.take();
  } catch (error) {
    context.log.warn({ err: error, provider: context.name }, 'the reserve could not be taken again');
  }
}

async function unlinkOrWarn(store: LocalStore, filename: string): Promise<void> {
  try {
    await unlinkInTurn(store, filename);
  } catch (error) {
    const { log, name: provider } = store.context;
    log.warn({ err: error, provider, filename }, 'the files of a deleted image stay for now');
  }
}

async function note(
  { audit, context, reserve }: LocalStore,
  record: ImageRecord,
  deleteTime: number,
  sparePinned: boolean,
): Promise<void> {
  try {
    await reserve.lend(() => audit.deleted(record, sparePinned ? 'cleanup' : 'delete', deleteTime));
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
