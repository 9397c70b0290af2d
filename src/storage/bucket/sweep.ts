/** Removes the objects of tombstones once more, in case one arrived late, and finally the tombstones. */

import { inParallel } from '../async/parallel.ts';
import type { BucketChange, DueSweep } from '../catalog/bucket-catalog.ts';
import { imageKey, recordKey } from '../domain/naming.ts';
import { ObjectStoreError } from './object-store.ts';
import { readRecord } from './record-object.ts';
import { type BucketStore, isRefusal, SWEEP_AFTER_MS } from './store.ts';

const BATCH = 200;
const AT_ONCE = 8;
const HOUR_MS = 60 * 60 * 1000;
/** How long a tombstone keeps the filename and the idempotency key taken after a delete. */
export const BUCKET_TOMBSTONE_MS: number = 30 * 24 * HOUR_MS;

/** Handles due sweeps. Returns true when more may be due. Removes tombstones older than `expireAfterMs`. */
export async function sweep(store: BucketStore, expireAfterMs: number): Promise<boolean> {
  const due = await store.catalog.dueSweeps(store.context.now(), BATCH);
  await inParallel(AT_ONCE, due, async (each) => {
    await store.journal.write(await sweepOne(store, each, expireAfterMs));
  });
  return due.length === BATCH;
}

/** Reads the record first: another daemon may have removed the tombstone, and an image may have replaced it. */
async function sweepOne(
  store: BucketStore,
  { filename, deleteTime, etag }: DueSweep,
  expireAfterMs: number,
): Promise<BucketChange> {
  const { objects, context } = store;
  const found = await readRecord(objects, filename);
  if (found.kind !== 'tombstone') return { kind: 'found', filename, found, over: etag };
  try {
    await objects.remove(imageKey(filename));
  } catch (error) {
    // The tombstone has to outlast the object, which `verify` would adopt otherwise.
    if (!(error instanceof ObjectStoreError) || !isRefusal(error)) throw error;
    return { kind: 'sweep', filename, sweepTime: context.now() + SWEEP_AFTER_MS };
  }
  const expiry = deleteTime + expireAfterMs;
  if (context.now() < expiry) return { kind: 'sweep', filename, sweepTime: expiry };
  await objects.remove(recordKey(filename));
  return { kind: 'found', filename, found: { kind: 'absent' }, over: etag };
}
