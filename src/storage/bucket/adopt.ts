/** Gives an object without a record one, or puts it aside: what a crash between the two, or a hand, has left. */
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
import { type BucketStore, createAndNote, settle, withdraw } from './store.ts';

/**
 * What stands at the key of the record then. The StorageErrors of a save where the bytes are no whole image of the type
 * that the name says: nothing has changed then.
 */
export async function adoptImage(store: BucketStore, filename: string, object: ListedObject): Promise<FoundRecord> {
  const { catalog, objects } = store;
  const image = await inspectOrphan(
    filename,
    readRange(objects, object.key, { offset: 0, length: object.size }, () => {}),
  );
  const nonce = (await readHeaders(objects, object.key))?.metadata.nonce ?? nanoid();
  const record = await recordOfOrphan(filename, image, readerOfObject(store, object), object.lastModified);
  const over = (await catalog.known(filename))?.etag;
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

/** Puts an object without a record aside. False when a record has come meanwhile: then it stays. */
export async function quarantineImage(store: BucketStore, filename: string, object: ListedObject): Promise<boolean> {
  if (!(await copyAside(store, object))) return false;
  // A save whose record is still on its way must meet a tombstone before its object goes.
  const operation = { kind: 'save', nonce: nanoid(), filename, idempotencyKey: '', fingerprint: '' } as const;
  const found = await withdraw(store, operation);
  await settle(store, operation, found);
  return found.kind === 'tombstone';
}

/** Puts aside what is neither image nor record. False when it is another meanwhile, or gone. */
export async function quarantineForeign(store: BucketStore, object: ListedObject): Promise<boolean> {
  if (!(await copyAside(store, object))) return false;
  await store.objects.remove(object.key);
  return true;
}

/**
 * To the same path below `metadata/quarantine`; what lies there already is never overwritten. False when the object is
 * another meanwhile, or gone.
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

/** Undefined when it is no longer the object that was listed. */
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
      await bytes.write(chunk);
    }
    return { sha256: hash.digest('hex'), metadata };
  } catch (error) {
    if (failedWith(error, 'precondition', 'not_found')) return undefined;
    throw error;
  }
}
