/** One restore in a bucket: the record in the trash is replaced by a live one, if it is still the one that was read. */
import { nanoid } from 'nanoid';
import type { FoundRecord, PendingOperation, RecordInTrash } from '../catalog/bucket-catalog.ts';
import type { ChangeOutcome } from '../catalog/catalog.ts';
import { revisionOf } from '../domain/changes.ts';
import { StorageError } from '../domain/errors.ts';
import type { ImageRecord } from '../domain/record.ts';
import { readHeaders } from './reading.ts';
import { readRecord, replaceRecord } from './record-object.ts';
import { rewrite } from './rewrite.ts';
import { type BucketStore, knownTo, noteAndEnd, noteIfNew } from './store.ts';

/** Rejects with BYTES_MISSING, or with another StorageError, `outcomeUnknown` where the image may be live. */
export function restoreImage(store: BucketStore, filename: string): Promise<ChangeOutcome> {
  return store.byFilename.run(filename, () => restore(store, filename));
}

async function restore(store: BucketStore, filename: string): Promise<ChangeOutcome> {
  const over = (await knownTo(store, filename))?.etag;
  const found = await readRecord(store.objects, filename);
  if (found.kind !== 'trashed') {
    await noteIfNew(store, filename, found, over);
    return { done: false, why: found.kind === 'live' ? 'not_deleted' : 'not_found' };
  }
  const { trashed } = found;
  await checkBytes(store, trashed.record);
  const about = { nonce: nanoid(), filename, idempotencyKey: '', fingerprint: '', lastDelete: trashed.deleteNonce };
  const operation: PendingOperation = { ...about, kind: 'restore' };
  await store.journal.write({ kind: 'begin', operation });
  const stands = await broughtBack(store, operation, found);
  await noteAndEnd(store, operation, stands, over);
  return outcomeOf(stands, trashed);
}

async function checkBytes({ objects }: BucketStore, { key }: ImageRecord): Promise<void> {
  if ((await readHeaders(objects, key)) !== undefined) return;
  throw new StorageError('BYTES_MISSING', 'the image is in the trash, and its object is gone');
}

/** Returns what is at the record's key once the delete is taken back, by whomever, or cannot be. */
function broughtBack(store: BucketStore, operation: PendingOperation, found: FoundRecord): Promise<FoundRecord> {
  const write = (current: FoundRecord) =>
    current.kind === 'trashed' && current.trashed.deleteNonce === operation.lastDelete
      ? replaceRecord(store.objects, liveRecordOf(current.trashed), current.etag)
      : undefined;
  return rewrite(store, operation, found, write, { done: 'restored' });
}

/** Its revision, and the delete that it took back, make its ETag one that no earlier record of the image had. */
function liveRecordOf({ record, deleteNonce }: RecordInTrash): ImageRecord {
  const { expireTime: _, ...rest } = record;
  return { ...rest, revision: revisionOf(record) + 1, restoredFrom: deleteNonce };
}

function outcomeOf(stands: FoundRecord, trashed: RecordInTrash): ChangeOutcome {
  if (stands.kind === 'live') return { done: true, record: stands.record };
  // By another delete: before that one, the image was live again.
  if (stands.kind === 'trashed') return { done: true, record: liveRecordOf(trashed) };
  return { done: false, why: 'not_found' };
}
