/** One delete in a bucket: the commit puts the record into the trash, or replaces it with a tombstone and removes the object. */
import { nanoid } from 'nanoid';
import { type FoundRecord, MISSING_ETAG, type PendingOperation } from '../catalog/bucket-catalog.ts';
import type { ChangeOutcome, Moment } from '../catalog/catalog.ts';
import { removePreviews } from '../disk/preview-files.ts';
import { StorageError } from '../domain/errors.ts';
import type { ImageRecord } from '../domain/record.ts';
import { detailsOf } from './condition.ts';
import type { ObjectStoreError } from './object-store.ts';
import { buryRecord, putTombstone, readRecord, tombstoneOfDeleted, trashRecord } from './record-object.ts';
import { rewrite } from './rewrite.ts';
import { type BucketStore, isRefusal, knownTo, noteIfNew, removeObject, settle } from './store.ts';

/**
 * `bytesRemain`: the image is deleted, but the bucket refuses to remove its object. `purgeTime`: it is in the trash until
 * then.
 */
export type DeleteOutcome = ChangeOutcome & { bytesRemain?: StorageError; purgeTime?: number };

export interface DeleteChoice {
  /** Of a cleanup: spares also an image whose record a shared index has, and that is gone (`lost`). */
  sparePinned: boolean;
  /** Spares an image that the catalog learnt or changed after this moment, or that another daemon changes meanwhile. */
  unchangedSince?: Moment | undefined;
  /** How long it stays in the trash; unset: it is deleted for good. */
  keepMs?: number | undefined;
}

/** Rejects with a StorageError, `outcomeUnknown` where the image may be gone. */
export async function deleteImage(
  store: BucketStore,
  filename: string,
  { sparePinned, unchangedSince, keepMs }: DeleteChoice,
): Promise<DeleteOutcome> {
  const known = await knownTo(store, filename);
  const { catalog } = store;
  // Behind `known`: what the catalog learns from now on has another ETag.
  const isChanged = unchangedSince !== undefined && (await catalog.changedSince([filename], unchangedSince)).length > 0;
  if (isChanged) return { done: false, why: 'changed' };
  const record = known && (await store.catalog.find(filename));
  // That of the catalog may lack an idempotency key, and has no trace of an earlier delete.
  const isThere = !store.hasTrash && known !== undefined && known.etag !== MISSING_ETAG && record !== undefined;
  const found: FoundRecord = isThere
    ? { kind: 'live', etag: known.etag, record }
    : await readRecord(store.objects, filename);
  const wanted = found.kind === 'live' ? found.record : found.kind === 'absent' ? record : undefined;
  if (wanted === undefined) return notFound(store, filename, found, known?.etag);
  if (sparePinned && wanted.pinned) return { done: false, why: 'pinned' };
  const keepsLost = sparePinned && store.index !== undefined && known !== undefined && known.etag !== MISSING_ETAG;
  if (keepsLost && found.kind === 'absent') return { done: false, why: 'lost' };
  if (unchangedSince !== undefined && etagOf(found) !== known?.etag) {
    await noteIfNew(store, filename, found, known?.etag);
    return { done: false, why: 'changed' };
  }
  const kind = sparePinned ? 'cleanup' : 'delete';
  const { restoredFrom } = wanted;
  const operation: PendingOperation = {
    ...{ kind, nonce: nanoid(), filename, idempotencyKey: '', fingerprint: '' },
    ...(restoredFrom !== undefined && { lastDelete: restoredFrom }),
    ...(keepMs !== undefined && { keepMs }),
  };
  await store.journal.write({ kind: 'begin', operation });
  const only = unchangedSince && known?.etag;
  return finishDelete(store, operation, { found, record: wanted, only, keepsLost }, known?.etag);
}

/**
 * Reports a delete by another daemon to the catalog, so that the image is not listed after this answer, and removes the
 * object once more where it is for good: the bucket may have refused it before.
 */
export async function notFound(
  store: BucketStore,
  filename: string,
  found: FoundRecord,
  over?: string,
): Promise<DeleteOutcome> {
  const outcome = { done: false, why: 'not_found' } as const;
  await noteIfNew(store, filename, found, over);
  const isGone = found.kind === 'tombstone' && found.tombstone.kind === 'deleted';
  const failure = isGone ? await removeObject(store, filename) : undefined;
  return failure !== undefined && isRefusal(failure) ? { ...outcome, bytesRemain: bytesRemain(failure) } : outcome;
}

export function bytesRemain(cause: ObjectStoreError): StorageError {
  const message = 'the image is deleted, but the bucket refuses to remove its bytes; the log of the daemon says why';
  return new StorageError('BYTES_REMAIN', message, { cause, details: detailsOf(cause) });
}

/** What is at the record's key, and the image, where it is known. */
interface Wanted {
  found: FoundRecord;
  record?: ImageRecord | undefined;
  /** Only a record with this ETag is deleted; unset: any. */
  only?: string | undefined;
  /** Whether an image stays whose record is gone. */
  keepsLost?: boolean;
}

/** Deletes the record that was found, or its successor; also completes an operation that a crash left. */
export async function finishDelete(
  store: BucketStore,
  operation: PendingOperation,
  wanted: Wanted,
  over?: string,
): Promise<DeleteOutcome> {
  const { found: stands, record } = await bury(store, operation, wanted);
  if (wanted.keepsLost && stands.kind === 'absent') {
    await store.journal.write({ kind: 'end', nonce: operation.nonce });
    return { done: false, why: 'lost' };
  }
  const refusal = await settle(store, operation, stands, over).catch((error) => {
    throw store.condition.fold(error, true);
  });
  if (record === undefined || !isDoneBy(operation, stands)) return { done: false, why: whyNot(operation, stands) };
  const { keepMs } = operation;
  if (keepMs === undefined) await removePreviews(store.previews, record);
  return {
    ...{ done: true, record },
    ...(keepMs !== undefined && { purgeTime: purgeTimeIn(stands) ?? store.context.now() + keepMs }),
    ...(refusal !== undefined && { bytesRemain: bytesRemain(refusal) }),
  };
}

/** Returns whether what stands is from this delete, taken back since or not. */
function isDoneBy({ nonce }: PendingOperation, stands: FoundRecord): boolean {
  if (stands.kind === 'live') return stands.record.restoredFrom === nonce;
  if (stands.kind === 'trashed') return stands.trashed.deleteNonce === nonce;
  return stands.kind === 'tombstone' && stands.tombstone.deleteNonce === nonce;
}

function whyNot(operation: PendingOperation, stands: FoundRecord): 'pinned' | 'not_found' {
  return isSpared(operation, stands) ? 'pinned' : 'not_found';
}

function isSpared({ kind }: PendingOperation, found: FoundRecord): boolean {
  return found.kind === 'live' && kind === 'cleanup' && found.record.pinned;
}

function purgeTimeIn(stands: FoundRecord): number | undefined {
  return stands.kind === 'trashed' ? stands.trashed.purgeTime : undefined;
}

/** Returns what is at the record's key after the delete: `live` for what is spared, or was brought back since it began. */
async function bury(
  store: BucketStore,
  operation: PendingOperation,
  { found, record, only, keepsLost = false }: Wanted,
): Promise<Wanted> {
  const write = (current: FoundRecord) => {
    if (current.kind === 'live') ({ record } = current);
    if (keepsLost && current.kind === 'absent') return undefined;
    const isWanted = only === undefined || etagOf(current) === only;
    return isWanted && isOpen(store, operation, current) && record !== undefined
      ? replacementOf(store, operation, record, current)
      : undefined;
  };
  const stands = await rewrite(store, operation, found, write, { done: 'deleted' });
  return { found: stands, record };
}

/** Returns the ETag by which a catalog knows an image that is there, or whose record is missing. */
function etagOf(found: FoundRecord): string | undefined {
  if (found.kind === 'absent') return MISSING_ETAG;
  return found.kind === 'live' ? found.etag : undefined;
}

/** Returns whether the delete is still to be carried out. */
function isOpen({ hasTrash }: BucketStore, operation: PendingOperation, found: FoundRecord): boolean {
  if (operation.keepMs !== undefined && !hasTrash) return false;
  if (found.kind === 'live') {
    const wasBroughtBack = hasTrash && found.record.restoredFrom !== operation.lastDelete;
    return !wasBroughtBack && !isSpared(operation, found);
  }
  // Without a record, too: the object may be there, and `verify` would adopt it.
  return found.kind === 'absent';
}

function replacementOf(
  { objects, context }: BucketStore,
  { nonce, keepMs }: PendingOperation,
  record: ImageRecord,
  found: FoundRecord,
): Promise<FoundRecord> {
  const now = context.now();
  const over = found.kind === 'live' ? found.etag : undefined;
  if (keepMs !== undefined) {
    const trashed = { record, deleteTime: now, purgeTime: now + keepMs, deleteNonce: nonce };
    return trashRecord(objects, trashed, over);
  }
  const tombstone = tombstoneOfDeleted(record, nonce, now);
  return over === undefined ? putTombstone(objects, tombstone) : buryRecord(objects, tombstone, over);
}
