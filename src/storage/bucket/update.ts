/** One update in a bucket: the record is replaced, if it is still the one that was read; that is the commit. */
import { nanoid } from 'nanoid';
import type { FoundRecord, PendingOperation } from '../catalog/bucket-catalog.ts';
import type { ChangeOutcome } from '../catalog/catalog.ts';
import { type CheckedChanges, withChanges } from '../domain/changes.ts';
import { readRecord, replaceRecord } from './record-object.ts';
import { rewrite } from './rewrite.ts';
import { type BucketStore, knownTo, noteAndEnd, noteIfNew } from './store.ts';

/** Of daemons that change the same image at once, each round lets at least one through. */
const MAX_ROUNDS = 12;

/** Rejects with a StorageError, `outcomeUnknown` where the image may be changed. */
export function updateImage(store: BucketStore, filename: string, changes: CheckedChanges): Promise<ChangeOutcome> {
  return store.byFilename.run(filename, () => update(store, filename, changes));
}

/** Begins with the record in the bucket: the catalog's may be older, and lack an idempotency key. */
async function update(store: BucketStore, filename: string, changes: CheckedChanges): Promise<ChangeOutcome> {
  const over = (await knownTo(store, filename))?.etag;
  const found = await readRecord(store.objects, filename);
  const changed = found.kind === 'live' ? withChanges(found.record, changes) : undefined;
  const isOpen = found.kind === 'live' && changed !== undefined && changed !== found.record;
  if (!isOpen) {
    await noteIfNew(store, filename, found, over);
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
  await noteAndEnd(store, operation, stands, over);
  return outcomeOf(stands, changes);
}

/** Returns what is at the record's key once the image has the changes, or cannot have them. */
function replaced(
  store: BucketStore,
  operation: PendingOperation,
  changes: CheckedChanges,
  found: FoundRecord,
): Promise<FoundRecord> {
  const write = (current: FoundRecord) => {
    const changed = current.kind === 'live' ? withChanges(current.record, changes) : undefined;
    if (current.kind !== 'live' || changed === undefined || changed === current.record) return undefined;
    return replaceRecord(store.objects, changed, current.etag);
  };
  return rewrite(store, operation, found, write, { maxRounds: MAX_ROUNDS, done: 'updated' });
}

function outcomeOf(found: FoundRecord, changes: CheckedChanges): ChangeOutcome {
  if (found.kind !== 'live') return { done: false, why: 'not_found' };
  const isDone = withChanges(found.record, changes) === found.record;
  return isDone ? { done: true, record: found.record } : { done: false, why: 'too_many_tags' };
}
