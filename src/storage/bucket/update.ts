/** One update in a bucket: the record is replaced, if it is still the one that was read; that is the commit. */
import { nanoid } from 'nanoid';
import type { FoundRecord, PendingOperation } from '../catalog/bucket-catalog.ts';
import type { ChangeOutcome } from '../catalog/catalog.ts';
import { type CheckedChanges, withChanges } from '../domain/changes.ts';
import { failedWith, ObjectStoreError } from './object-store.ts';
import { readRecord, replaceRecord } from './record-object.ts';
import { type BucketStore, discovery, giveUp, isInDoubt } from './store.ts';

/** Of daemons that change the same image at once, each round lets at least one through. */
const MAX_ROUNDS = 12;

/** Rejects with a StorageError, `outcomeUnknown` where the image may be changed. */
export function updateImage(store: BucketStore, filename: string, changes: CheckedChanges): Promise<ChangeOutcome> {
  return store.byFilename.run(filename, () => update(store, filename, changes));
}

/** Begins with the record in the bucket: the catalog's may be older, and lack an idempotency key. */
async function update(store: BucketStore, filename: string, changes: CheckedChanges): Promise<ChangeOutcome> {
  const over = (await store.catalog.known(filename))?.etag;
  const found = await readRecord(store.objects, filename);
  const changed = found.kind === 'live' ? withChanges(found.record, changes) : undefined;
  const isOpen = found.kind === 'live' && changed !== undefined && changed !== found.record;
  if (!isOpen) {
    if (found.kind !== 'absent' && found.etag !== over) await store.journal.write(discovery(filename, found, over));
    return outcomeOf(found, changes);
  }
  const operation: PendingOperation = {
    kind: 'update',
    nonce: nanoid(),
    filename,
    idempotencyKey: '',
    fingerprint: '',
  };
  await store.journal.write({ kind: 'begin', operation });
  const stands = await replaced(store, operation, changes, found);
  await settleUpdate(store, operation, stands, over).catch((error) => {
    store.unsettled.set(operation.nonce, operation);
    throw store.condition.fold(error, true);
  });
  return outcomeOf(stands, changes);
}

/** Notes in the catalog what an update left, also after a crash: whether the record was replaced, the bucket knows. */
export async function settleUpdate(
  store: BucketStore,
  { filename, nonce }: PendingOperation,
  found: FoundRecord,
  over?: string,
): Promise<void> {
  await store.journal.write(discovery(filename, found, over), { kind: 'end', nonce });
}

/** Returns what is at the record's key once the image has the changes, or cannot have them. */
async function replaced(
  store: BucketStore,
  operation: PendingOperation,
  changes: CheckedChanges,
  found: FoundRecord,
): Promise<FoundRecord> {
  const { objects } = store;
  let sent = false;
  try {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      if (found.kind !== 'live') return found;
      const changed = withChanges(found.record, changes);
      // Nothing is left to change, perhaps since an attempt arrived without an answer.
      if (changed === undefined || changed === found.record) return found;
      try {
        return await replaceRecord(objects, changed, found.etag);
      } catch (error) {
        if (!isInDoubt(error) && !failedWith(error, 'not_found')) throw error;
        sent ||= isInDoubt(error);
        found = await readRecord(objects, operation.filename);
      }
    }
    throw new ObjectStoreError('unavailable', 'the record changes faster than it can be updated');
  } catch (error) {
    throw await giveUp(store, operation, error, sent);
  }
}

function outcomeOf(found: FoundRecord, changes: CheckedChanges): ChangeOutcome {
  if (found.kind !== 'live') return { done: false, why: 'not_found' };
  const isDone = withChanges(found.record, changes) === found.record;
  return isDone ? { done: true, record: found.record } : { done: false, why: 'too_many_tags' };
}
