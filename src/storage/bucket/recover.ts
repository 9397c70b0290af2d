/** Settles operations whose outcome was left open by a crash or an unreachable bucket. */

import { inParallel } from '../async/parallel.ts';
import type { PendingOperation } from '../catalog/bucket-catalog.ts';
import { finishDelete } from './delete.ts';
import { finishPurge } from './purge.ts';
import { readRecord } from './record-object.ts';
import { type BucketStore, knownTo, noteAndEnd, settle, withdraw } from './store.ts';

const AT_ONCE = 8;

/** An operation that cannot be settled now stays in `unsettled`. */
export async function resolveOperations(store: BucketStore, operations: readonly PendingOperation[]): Promise<void> {
  await inParallel(AT_ONCE, operations, async (operation) => {
    store.settling.add(operation.nonce);
    store.unsettled.delete(operation.nonce);
    try {
      await resolve(store, operation);
    } catch (error) {
      store.unsettled.set(operation.nonce, operation);
      store.context.log.debug({ err: error, provider: store.context.name }, 'an operation stays unsettled for now');
    } finally {
      store.settling.delete(operation.nonce);
    }
  });
}

/**
 * Withdraws a save that is not committed by now, so that it never will be; carries out a delete or purge, unless the image
 * was brought back since it began; takes an update or restore as the bucket has it.
 */
async function resolve(store: BucketStore, operation: PendingOperation): Promise<void> {
  const over = (await knownTo(store, operation.filename))?.etag;
  if (operation.kind === 'save') await settle(store, operation, await withdraw(store, operation), over);
  else {
    const found = await readRecord(store.objects, operation.filename);
    if (operation.kind === 'update' || operation.kind === 'restore') await noteAndEnd(store, operation, found, over);
    else if (operation.kind === 'purge') await finishPurge(store, operation, { found }, over);
    else await finishDelete(store, operation, { found }, over);
  }
}
