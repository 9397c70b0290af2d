/** One delete in a bucket: the commit replaces the record with a tombstone, then the object is removed. */
import { nanoid } from 'nanoid';
import {
  type FoundRecord,
  MISSING_ETAG,
  type PendingOperation,
  type RecordTombstone,
} from '../catalog/bucket-catalog.ts';
import type { ChangeOutcome } from '../catalog/catalog.ts';
import { StorageError } from '../domain/errors.ts';
import type { ImageRecord } from '../domain/record.ts';
import { detailsOf } from './condition.ts';
import { failedWith, ObjectStoreError } from './object-store.ts';
import { buryRecord, putTombstone, readRecord, tombstoneOfDeleted } from './record-object.ts';
import { type BucketStore, discovery, giveUp, isInDoubt, isRefusal, removeObject, settle } from './store.ts';

const MAX_ROUNDS = 5;

/** `bytesRemain`: the image is deleted, but the bucket refuses to remove its object. */
export type DeleteOutcome = ChangeOutcome & { bytesRemain?: StorageError };

/** Rejects with a StorageError, `outcomeUnknown` where the image may be gone. */
export async function deleteImage(store: BucketStore, filename: string, sparePinned: boolean): Promise<DeleteOutcome> {
  const known = await store.catalog.known(filename);
  const record = known && (await store.catalog.find(filename));
  const isThere = known !== undefined && known.etag !== MISSING_ETAG && record !== undefined;
  const found: FoundRecord = isThere
    ? { kind: 'live', etag: known.etag, record }
    : await readRecord(store.objects, filename);
  const wanted = found.kind === 'live' ? found.record : found.kind === 'absent' ? record : undefined;
  if (wanted === undefined) return notFound(store, filename, found);
  if (sparePinned && wanted.pinned) return { done: false, why: 'pinned' };
  const kind = sparePinned ? 'cleanup' : 'delete';
  const operation: PendingOperation = { kind, nonce: nanoid(), filename, idempotencyKey: '', fingerprint: '' };
  await store.journal.write({ kind: 'begin', operation });
  return finishDelete(store, operation, { found, record: wanted }, known?.etag);
}

/**
 * Reports a delete by another daemon to the catalog, so that the image is not listed after this answer, and removes the
 * object once more: the bucket may have refused it before.
 */
async function notFound(store: BucketStore, filename: string, found: FoundRecord): Promise<DeleteOutcome> {
  const outcome = { done: false, why: 'not_found' } as const;
  if (found.kind !== 'tombstone') return outcome;
  await store.journal.write(discovery(filename, found));
  const failure = found.tombstone.kind === 'deleted' ? await removeObject(store, filename) : undefined;
  return failure !== undefined && isRefusal(failure) ? { ...outcome, bytesRemain: bytesRemain(failure) } : outcome;
}

function bytesRemain(cause: ObjectStoreError): StorageError {
  const message = 'the image is deleted, but the bucket refuses to remove its bytes; the log of the daemon says why';
  return new StorageError('BYTES_REMAIN', message, { cause, details: detailsOf(cause) });
}

/** What is at the record's key, and the image, where it is known. */
interface Wanted {
  found: FoundRecord;
  record?: ImageRecord | undefined;
}

/** Deletes the record that was found, or its successor; also completes an operation that a crash left. */
export async function finishDelete(
  store: BucketStore,
  operation: PendingOperation,
  wanted: Wanted,
  over?: string,
): Promise<DeleteOutcome> {
  const { found: stands, record } = await bury(store, operation, wanted);
  const refusal = await settle(store, operation, stands, over).catch((error) => {
    throw store.condition.fold(error, true);
  });
  if (stands.kind === 'live') return { done: false, why: 'pinned' };
  const ours = stands.kind === 'tombstone' && stands.tombstone.deleteNonce === operation.nonce;
  if (!ours || record === undefined) return { done: false, why: 'not_found' };
  return { done: true, record, ...(refusal !== undefined && { bytesRemain: bytesRemain(refusal) }) };
}

/** Replaces the record, or creates the tombstone where there is none. */
function putOver({ objects }: BucketStore, tombstone: RecordTombstone, found: FoundRecord): Promise<FoundRecord> {
  return found.kind === 'live' ? buryRecord(objects, tombstone, found.etag) : putTombstone(objects, tombstone);
}

/** Returns what is at the record's key after the delete: `live` only for a pinned image that cleanup spares. */
async function bury(store: BucketStore, operation: PendingOperation, { found, record }: Wanted): Promise<Wanted> {
  let sent = false;
  try {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      if (found.kind === 'live') ({ record } = found);
      const isSpared = found.kind === 'live' && operation.kind === 'cleanup' && found.record.pinned;
      // Without a record, too: the object may be there, and `verify` would adopt it.
      const isOpen = found.kind === 'live' || (found.kind === 'absent' && record !== undefined);
      if (isSpared || !isOpen) return { found, record };
      try {
        const tombstone = tombstoneOfDeleted(record!, operation.nonce, store.context.now());
        return { found: await putOver(store, tombstone, found), record };
      } catch (error) {
        if (!isInDoubt(error) && !failedWith(error, 'not_found')) throw error;
        sent ||= isInDoubt(error);
        found = await readRecord(store.objects, operation.filename);
      }
    }
    throw new ObjectStoreError('unavailable', 'the record changes faster than it can be deleted');
  } catch (error) {
    throw await giveUp(store, operation, error, sent);
  }
}
