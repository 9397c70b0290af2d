/** One delete in a bucket: the commit replaces the record with a tombstone, then the object is removed. */
import { nanoid } from 'nanoid';
import type { FoundRecord, PendingOperation } from '../catalog/bucket-catalog.ts';
import type { ChangeOutcome } from '../catalog/catalog.ts';
import type { ImageRecord } from '../domain/record.ts';
import { failedWith, ObjectStoreError } from './object-store.ts';
import { buryRecord, readRecord, tombstoneOfDeleted } from './record-object.ts';
import { type BucketStore, discovery, isInDoubt, settle } from './store.ts';

const MAX_ROUNDS = 5;

/** Rejects with a StorageError, `outcomeUnknown` where the image may be gone. */
export async function deleteImage(store: BucketStore, filename: string, sparePinned: boolean): Promise<ChangeOutcome> {
  const known = await store.catalog.known(filename);
  const record = known && (await store.catalog.find(filename));
  const found: FoundRecord =
    known && record ? { kind: 'live', etag: known.etag, record } : await readRecord(store.objects, filename);
  if (found.kind !== 'live') return notFound(store, filename, found);
  if (sparePinned && found.record.pinned) return { done: false, why: 'pinned' };
  const kind = sparePinned ? 'cleanup' : 'delete';
  const operation: PendingOperation = { kind, nonce: nanoid(), filename, idempotencyKey: '', fingerprint: '' };
  await store.journal.write({ kind: 'begin', operation });
  return finishDelete(store, operation, found, known?.etag);
}

/** Reports a delete by another daemon to the catalog, so that the image is not listed after this answer. */
async function notFound({ journal }: BucketStore, filename: string, found: FoundRecord): Promise<ChangeOutcome> {
  if (found.kind === 'tombstone') await journal.write(discovery(filename, found));
  return { done: false, why: 'not_found' };
}

/** Deletes the record that was found, or its successor; also completes an operation that a crash left. */
export async function finishDelete(
  store: BucketStore,
  operation: PendingOperation,
  found: FoundRecord,
  over?: string,
): Promise<ChangeOutcome> {
  const { stands, record } = await bury(store, operation, found);
  await settle(store, operation, stands, over).catch((error) => {
    throw store.condition.fold(error, true);
  });
  if (stands.kind === 'live') return { done: false, why: 'pinned' };
  const ours = stands.kind === 'tombstone' && stands.tombstone.deleteNonce === operation.nonce;
  return ours && record !== undefined ? { done: true, record } : { done: false, why: 'not_found' };
}

/** Returns what is at the record's key after the delete: `live` only for a pinned image that cleanup spares. */
async function bury(
  store: BucketStore,
  operation: PendingOperation,
  found: FoundRecord,
): Promise<{ stands: FoundRecord; record?: ImageRecord }> {
  let stands = found;
  let record: ImageRecord | undefined;
  let sent = false;
  try {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      if (stands.kind !== 'live' || (operation.kind === 'cleanup' && stands.record.pinned)) return { stands, record };
      record = stands.record;
      try {
        const tombstone = tombstoneOfDeleted(record, operation.nonce, store.context.now());
        return { stands: await buryRecord(store.objects, tombstone, stands.etag), record };
      } catch (error) {
        if (!isInDoubt(error) && !failedWith(error, 'not_found')) throw error;
        sent ||= isInDoubt(error);
        stands = await readRecord(store.objects, operation.filename);
      }
    }
    throw new ObjectStoreError('unavailable', 'the record changes faster than it can be deleted');
  } catch (error) {
    throw await giveUp(store, operation, error, sent);
  }
}

async function giveUp(store: BucketStore, operation: PendingOperation, error: unknown, sent: boolean): Promise<Error> {
  try {
    if (!sent) await store.journal.write({ kind: 'end', nonce: operation.nonce });
    else store.unsettled.set(operation.nonce, operation);
  } catch {
    store.unsettled.set(operation.nonce, operation);
  }
  return store.condition.fold(error, sent);
}
