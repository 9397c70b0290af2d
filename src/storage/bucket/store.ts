/** The state that the parts of an open store in a bucket share, and how an operation on one record is settled. */

import type { KeyedQueue } from '../async/keyed-queue.ts';
import type {
  BucketCatalog,
  BucketChange,
  FoundRecord,
  KnownRecord,
  PendingOperation,
  SharedCatalog,
} from '../catalog/bucket-catalog.ts';
import { removePreviews } from '../disk/preview-files.ts';
import { StorageError } from '../domain/errors.ts';
import type { SaveLoad } from '../domain/meter.ts';
import { imageKey } from '../domain/naming.ts';
import type { StoreKind } from '../domain/store-format.ts';
import type { ProviderContext } from '../types.ts';
import type { BucketCondition } from './condition.ts';
import { HELP } from './help.ts';
import type { Journal } from './journal.ts';
import { failedWith, type ObjectStore, ObjectStoreError } from './object-store.ts';
import { putTombstone, readRecord, tombstoneOfFailed } from './record-object.ts';
import type { RetryOptions } from './retrying-store.ts';
import type { Spool } from './spool.ts';

/** After this time a write that was delayed in flight has arrived or never will. */
export const SWEEP_AFTER_MS: number = 60 * 60 * 1000;
const MAX_ROUNDS = 3;

export interface BucketStore extends StoreKind {
  objects: ObjectStore;
  /** How long calls are tried, and by which clock. */
  patience: RetryOptions;
  catalog: BucketCatalog;
  journal: Journal;
  /** Of comparisons with the bucket: what it writes is in the catalog, or rejects. */
  comparing: Journal;
  /** The catalog, where all daemons share it. */
  index?: SharedCatalog;
  condition: BucketCondition;
  context: ProviderContext;
  spool: Spool;
  /** The folder of previews. */
  previews: string;
  storeId: string;
  /** Others write to the bucket, too. */
  shared: boolean;
  /** How long deleted images stay there; unset: deletes are for good. */
  keepMs?: number;
  /** Those of this moment; set by the provider. */
  saves: () => SaveLoad;
  /** Operations whose outcome is not settled yet, by nonce; upkeep tries again. */
  unsettled: Map<string, PendingOperation>;
  /** Those that are being settled now. */
  settling: Set<string>;
  /** Serializes saves and copies with the same idempotency key. */
  byKey: KeyedQueue;
  /** Serializes updates and restores of the same image. */
  byFilename: KeyedQueue;
  /** Aborted when the store closes: long work in the background ends early. */
  closing: AbortController;
}

/** Returns whether the outcome of an operation is not in the catalog yet, besides those that calls wait for. */
export function owesOutcomes({ unsettled, settling }: Pick<BucketStore, 'unsettled' | 'settling'>): boolean {
  return unsettled.size + settling.size > 0;
}

/** Returns whether the failed write may have happened, or met an earlier attempt of ours: reading back decides. */
export function isInDoubt(error: unknown): error is ObjectStoreError {
  return failedWith(error, 'precondition') || (error instanceof ObjectStoreError && error.maybeApplied);
}

/** Returns the change that notes `found` at a record's key in the catalog; `over` is the ETag that the catalog knew. */
export function discovery(
  { context }: Pick<BucketStore, 'context'>,
  filename: string,
  found: FoundRecord,
  over?: string,
): BucketChange & { kind: 'found' } {
  const sweepTime = found.kind === 'tombstone' ? found.tombstone.deleteTime + SWEEP_AFTER_MS : 0;
  return { kind: 'found', filename, found, sweepTime, arrival: context.now(), ...(over !== undefined && { over }) };
}

/**
 * Notes what was found at a record's key where the catalog, which knew the ETag `over`, has something else. It keeps the
 * image of a damaged record: `verify` restores from it.
 */
export async function noteIfNew(
  store: BucketStore,
  filename: string,
  found: FoundRecord,
  over?: string,
): Promise<void> {
  if (found.kind === 'absent' || found.kind === 'foreign' || found.etag === over) return;
  await forgetPreviews(store, filename, found);
  await store.journal.write(discovery(store, filename, found, over));
}

/** Removes the previews of an image that the catalog has, where it was deleted for good, by whomever. */
export async function forgetPreviews(
  { catalog, index, previews }: Pick<BucketStore, 'catalog' | 'index' | 'previews'>,
  filename: string,
  found: FoundRecord,
): Promise<void> {
  if (found.kind !== 'tombstone') return;
  const find = async () => (await catalog.find(filename)) ?? (await catalog.findTrashed(filename));
  const record = await withoutIndex(index, find);
  if (record !== undefined) await removePreviews(previews, record);
}

/** Returns the record as the catalog knows it; undefined also where a shared index cannot be reached. */
export function knownTo(
  { catalog, index }: Pick<BucketStore, 'catalog' | 'index'>,
  filename: string,
): Promise<KnownRecord | undefined> {
  return withoutIndex(index, () => catalog.known(filename));
}

/** Returns undefined where a shared index cannot be reached, or not soon: the bucket has what is needed. */
export async function withoutIndex<T>(
  index: Pick<SharedCatalog, 'inTime'> | undefined,
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await (index === undefined ? read() : index.inTime(read));
  } catch (error) {
    if (error instanceof StorageError && error.reason === 'INDEX_UNAVAILABLE') return undefined;
    throw error;
  }
}

/** Notes in the catalog what an update or restore left, also after a crash: whether it was done, the bucket knows. */
export async function noteAndEnd(
  store: BucketStore,
  operation: PendingOperation,
  found: FoundRecord,
  over?: string,
): Promise<void> {
  const { filename, nonce } = operation;
  try {
    await store.journal.write(discovery(store, filename, found, over), { kind: 'end', nonce });
  } catch (error) {
    store.unsettled.set(nonce, operation);
    throw store.condition.fold(error, true);
  }
}

/** Returns what is at a record's key after `create`: what that wrote, or what existed before. Never `absent`. */
export async function createOrRead(
  { objects }: BucketStore,
  filename: string,
  create: () => Promise<FoundRecord>,
): Promise<FoundRecord> {
  for (let round = 1; ; round += 1) {
    try {
      return await create();
    } catch (error) {
      if (!isInDoubt(error)) throw error;
      const found = await readRecord(objects, filename);
      if (found.kind !== 'absent') return found;
      if (round === MAX_ROUNDS) throw error;
    }
  }
}

/** Like `createOrRead`, and notes the result in the catalog; `over` is the ETag that the catalog knew. */
export async function createAndNote(
  store: BucketStore,
  { filename, over }: { filename: string; over: string | undefined },
  create: () => Promise<FoundRecord>,
): Promise<FoundRecord> {
  const found = await createOrRead(store, filename, create);
  await store.journal.write(discovery(store, filename, found, over));
  return found;
}

/**
 * Puts a tombstone at the record's key, so that no record of this save can be created any more, unless it exists
 * already. Returns what is there afterwards.
 */
export function withdraw(store: BucketStore, operation: PendingOperation): Promise<FoundRecord> {
  const tombstone = tombstoneOfFailed(operation, store.context.now());
  return createOrRead(store, operation.filename, () => putTombstone(store.objects, tombstone));
}

/**
 * Ends an operation that left `found` at the record's key: removes the object where that is a tombstone, and notes the
 * result in the catalog; `over` is the ETag that the catalog knew. Upkeep retries what fails. Returns the error when the
 * bucket refused to remove the object: the sweep asks again. Rejects only with a CatalogError.
 */
export async function settle(
  store: BucketStore,
  operation: PendingOperation,
  found: FoundRecord,
  over?: string,
): Promise<ObjectStoreError | undefined> {
  const { filename, nonce } = operation;
  const failure = found.kind === 'tombstone' ? await removeObject(store, filename) : undefined;
  const refusal = failure !== undefined && isRefusal(failure) ? failure : undefined;
  const isSettled = failure === refusal;
  if (!isSettled) store.unsettled.set(nonce, operation);
  const arrival = store.context.now();
  const sweepTime = arrival + SWEEP_AFTER_MS;
  // What was saved here came with its commit.
  const isOurs = found.kind === 'live' && found.record.nonce === nonce;
  try {
    await store.journal.write(
      { ...discovery(store, filename, found, over), sweepTime, ...(isOurs && { arrival: undefined }) },
      // The object that was just removed may still be in flight.
      ...(found.kind === 'tombstone' ? [{ kind: 'sweep' as const, filename, sweepTime }] : []),
      ...(isSettled ? [{ kind: 'end' as const, nonce }] : []),
    );
    return refusal;
  } catch (error) {
    store.unsettled.set(nonce, operation);
    throw error;
  }
}

/** Ends an operation that failed, or leaves it to upkeep where it may have happened. Returns the error for the caller. */
export async function giveUp(
  store: BucketStore,
  operation: PendingOperation,
  error: unknown,
  sent: boolean,
): Promise<Error> {
  try {
    if (!sent) await store.journal.write({ kind: 'end', nonce: operation.nonce });
    else store.unsettled.set(operation.nonce, operation);
  } catch {
    store.unsettled.set(operation.nonce, operation);
  }
  return store.condition.fold(error, sent);
}

/** Returns whether the bucket refuses this removal, by a lock or a policy, while other requests may succeed. */
export function isRefusal({ failure, scope }: ObjectStoreError): boolean {
  return scope === 'request' && (failure === 'auth' || failure === 'misconfigured');
}

/** Returns why it failed, if it did. Requires a tombstone at the record's key: then no image can need the object. */
export async function removeObject(
  { objects, context: { log, name: provider } }: BucketStore,
  filename: string,
): Promise<ObjectStoreError | undefined> {
  try {
    await objects.remove(imageKey(filename));
    return undefined;
  } catch (thrown) {
    const error = thrown instanceof ObjectStoreError ? thrown : new ObjectStoreError('unavailable', 'it failed');
    const facts = { err: error, provider, filename };
    if (isRefusal(error))
      log.error(facts, `the bucket refuses to remove the bytes of a deleted image (${HELP.objectLock})`);
    else log.warn(facts, 'the bytes of a deleted image stay for now');
    return error;
  }
}
