/** Replaces what is at the key of a record, however its answers are lost and whoever else changes it. */
import type { FoundRecord, PendingOperation } from '../catalog/bucket-catalog.ts';
import { failedWith, ObjectStoreError } from './object-store.ts';
import { readRecord } from './record-object.ts';
import { type BucketStore, giveUp, isInDoubt } from './store.ts';

const MAX_ROUNDS = 5;

/**
 * Calls `write` with what is there, until it succeeds or returns undefined: nothing is left to write, perhaps since an
 * attempt arrived without an answer. Returns what is at the record's key then. `done` is the verb of the message when the
 * record changes too fast. Rejects with a StorageError, `outcomeUnknown` where a write may have happened.
 */
export async function rewrite(
  store: BucketStore,
  operation: PendingOperation,
  first: FoundRecord,
  write: (found: FoundRecord) => Promise<FoundRecord> | undefined,
  { maxRounds = MAX_ROUNDS, done }: { maxRounds?: number; done: string },
): Promise<FoundRecord> {
  let [found, sent] = [first, false];
  try {
    for (let round = 0; round < maxRounds; round += 1) {
      try {
        const writing = write(found);
        return writing === undefined ? found : await writing;
      } catch (error) {
        if (!isInDoubt(error) && !failedWith(error, 'not_found')) throw error;
        sent ||= isInDoubt(error);
        found = await readRecord(store.objects, operation.filename);
      }
    }
    throw new ObjectStoreError('unavailable', `the record changes faster than it can be ${done}`);
  } catch (error) {
    throw await giveUp(store, operation, error, sent);
  }
}
