/** One purge in a bucket: the commit replaces the record in the trash with a tombstone, then the object is removed. */
import { nanoid } from 'nanoid';
import type { FoundRecord, PendingOperation } from '../catalog/bucket-catalog.ts';
import { removePreviews } from '../disk/preview-files.ts';
import type { ImageRecord } from '../domain/record.ts';
import { bytesRemain, type DeleteOutcome, notFound } from './delete.ts';
import { buryRecord, putTombstone, readRecord, tombstoneOfDeleted } from './record-object.ts';
import { rewrite } from './rewrite.ts';
import { type BucketStore, knownTo, settle } from './store.ts';

/** What is at the record's key, and the image, where its record is gone. */
interface InTrash {
  found: FoundRecord;
  record?: ImageRecord | undefined;
}

/**
 * Deletes an image of the trash for good, unless it is purged only after `dueBy`. Rejects with a StorageError,
 * `outcomeUnknown` where the image may be gone.
 */
export async function purgeImage(
  store: BucketStore,
  filename: string,
  dueBy: number = Number.POSITIVE_INFINITY,
): Promise<DeleteOutcome> {
  const over = (await knownTo(store, filename))?.etag;
  const found = await readRecord(store.objects, filename);
  const inTrash = await trashedAs(store, filename, found);
  if (inTrash === undefined || inTrash.purgeTime > dueBy) return notFound(store, filename, found, over);
  const about = { nonce: nanoid(), filename, idempotencyKey: '', fingerprint: '', lastDelete: inTrash.deleteNonce };
  const operation: PendingOperation = { ...about, kind: 'purge' };
  await store.journal.write({ kind: 'begin', operation });
  return finishPurge(store, operation, { found, record: inTrash.record }, over);
}

/** Returns what the catalog has where somebody removed the record. */
async function trashedAs({ catalog }: BucketStore, filename: string, found: FoundRecord) {
  if (found.kind === 'trashed') return found.trashed;
  if (found.kind !== 'absent') return undefined;
  const record = await catalog.findTrashed(filename);
  return record && { record, purgeTime: record.purgeTime, deleteNonce: '' };
}

/** Purges the image that was found; also completes an operation that a crash left. */
export async function finishPurge(
  store: BucketStore,
  operation: PendingOperation,
  inTrash: InTrash,
  over?: string,
): Promise<DeleteOutcome> {
  const { found: stands, record } = await bury(store, operation, inTrash);
  const refusal = await settle(store, operation, stands, over).catch((error) => {
    throw store.condition.fold(error, true);
  });
  const ours = stands.kind === 'tombstone' && stands.tombstone.deleteNonce === operation.nonce;
  if (!ours || record === undefined) return { done: false, why: 'not_found' };
  await removePreviews(store.previews, record);
  return { done: true, record, ...(refusal !== undefined && { bytesRemain: bytesRemain(refusal) }) };
}

async function bury(store: BucketStore, operation: PendingOperation, { found, record }: InTrash): Promise<InTrash> {
  const { objects, context } = store;
  const write = (current: FoundRecord) => {
    const { lastDelete, nonce } = operation;
    if (current.kind === 'trashed' && current.trashed.deleteNonce === lastDelete) {
      ({ record } = current.trashed);
      return buryRecord(objects, tombstoneOfDeleted(record, nonce, context.now()), current.etag);
    }
    // Without a record, too: the object may be there, and `verify` would adopt it.
    if (current.kind !== 'absent' || record === undefined) return undefined;
    return putTombstone(objects, tombstoneOfDeleted(record, nonce, context.now()));
  };
  const stands = await rewrite(store, operation, found, write, { done: 'purged' });
  return { found: stands, record };
}
