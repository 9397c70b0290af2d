/** Adopts or quarantines objects without a record, left by a crash between object and record, or put there by hand. */
import { createHash } from 'node:crypto';
import { nanoid } from 'nanoid';
import type { FoundRecord } from '../catalog/bucket-catalog.ts';
import { KEY_ROOT } from '../domain/naming.ts';
import type { ReadAt } from '../embedded/read-at.ts';
import { inspectOrphan, recordOfOrphan } from '../maintenance/orphan.ts';
import {
  failedWith,
  type ListedObject,
  type ObjectStore,
  ObjectStoreError,
  type StoredObject,
} from './object-store.ts';
import { readHeaders, readRange } from './reading.ts';
import { putRecord } from './record-object.ts';
import type { SpooledBytes } from './spool.ts';
import { type BucketStore, createAndNote, knownTo, settle, withdraw } from './store.ts';

/**
 * Creates the record of an object without one. Returns what is at the record's key afterwards. Rejects with the
 * StorageErrors of a save where the bytes are not a whole image of the filename's type; nothing has changed then.
 */
export async function adoptImage(store: BucketStore, filename: string, object: ListedObject): Promise<FoundRecord> {
  const { context, objects } = store;
  const image = await inspectOrphan(
    filename,
    readRange(objects, object.key, { offset: 0, length: object.size }, () => {}),
    context.limits.imageCheck,
  );
  const nonce = (await readHeaders(objects, object.key))?.metadata.nonce ?? nanoid();
  const record = await recordOfOrphan(filename, image, readerOfObject(store, object), object.lastModified);
  const over = (await knownTo(store, filename))?.etag;
  return createAndNote(store, { filename, over }, () => putRecord(objects, { ...record, nonce }));
}

function readerOfObject({ objects }: BucketStore, { key, size }: ListedObject): ReadAt {
  return async (offset, lengthBytes) => {
    const length = Math.min(lengthBytes, size - offset);
    const chunks: Uint8Array[] = [];
    if (length > 0) for await (const chunk of readRange(objects, key, { offset, length }, () => {})) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
}

/** Quarantines an object without a record. Returns false, and keeps the object, when it has a record by now. */
export async function quarantineImage(store: BucketStore, filename: string, object: ListedObject): Promise<boolean> {
  if (!(await copyAside(store, object))) return false;
  // A record of a save that is still in flight must meet a tombstone before the object is removed.
  const operation = { kind: 'save', nonce: nanoid(), filename, idempotencyKey: '', fingerprint: '' } as const;
  const found = await withdraw(store, operation);
  const refusal = await settle(store, operation, found);
  return found.kind === 'tombstone' && refusal === undefined;
}

/** Quarantines an object that is neither image nor record. Returns false when it was replaced or removed meanwhile. */
export async function quarantineForeign(store: BucketStore, object: ListedObject): Promise<boolean> {
  if (!(await copyAside(store, object))) return false;
  await store.objects.remove(object.key);
  return true;
}

/**
 * Copies an object to the same path below `metadata/quarantine`; never overwrites an existing one. Returns false when
 * the object was replaced or removed meanwhile.
 */
export async function copyAside({ objects, spool }: BucketStore, object: ListedObject): Promise<boolean> {
  const bytes = spool.open(object.size);
  try {
    const read = await readInto(bytes, objects, object);
    if (read === undefined) return false;
    const headers = { contentType: 'application/octet-stream', metadata: read.metadata };
    const aside = `${KEY_ROOT}metadata/quarantine/${object.key.slice(KEY_ROOT.length)}`;
    const payload = bytes.payload(read.sha256);
    await objects.putNew(aside, payload, headers).catch(async (error) => {
      if (!failedWith(error, 'precondition')) throw error;
      await objects.putNew(`${aside}.${nanoid()}`, payload, headers);
    });
    return true;
  } finally {
    await bytes.discard();
  }
}

/** Returns undefined when the object is no longer the one that was listed. */
async function readInto(
  bytes: SpooledBytes,
  objects: ObjectStore,
  { key, etag, size }: ListedObject,
): Promise<{ sha256: string; metadata: Record<string, string> } | undefined> {
  const hash = createHash('sha256');
  let metadata: Record<string, string> = {};
  const check = (object: StoredObject) => {
    if (object.etag !== etag) throw new ObjectStoreError('precondition', 'the object is another');
    metadata = object.metadata;
  };
  try {
    for await (const chunk of readRange(objects, key, { offset: 0, length: size }, check)) {
      hash.update(chunk);
      await bytes.write([chunk]);
    }
    return { sha256: hash.digest('hex'), metadata };
  } catch (error) {
    if (failedWith(error, 'precondition', 'not_found')) return undefined;
    throw error;
  }
}
