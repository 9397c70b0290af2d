/** Gives an object without a record one, or puts it aside: what a crash between the two, or a hand, has left. */
import { createHash } from 'node:crypto';
import { nanoid } from 'nanoid';
import type { FoundRecord } from '../catalog/types.ts';
import type { ReadAt } from '../embedded/read-at.ts';
import { StorageError } from '../errors.ts';
import { inspectImage, recordOfFoundling } from '../maintenance/foundling.ts';
import { KEY_ROOT } from '../naming.ts';
import { type BucketStore, createOrRead, settle, withdraw } from './bucket-store.ts';
import { failedWith, type ListedObject, type StoredObject } from './object-store.ts';
import { readHeaders, readRange } from './reading.ts';
import { putRecord } from './record-object.ts';

/**
 * What stands at the key of the record then. The StorageErrors of a save where the bytes are no whole image of the type
 * that the name says: nothing has changed then.
 */
export async function adoptObject(store: BucketStore, filename: string, object: ListedObject): Promise<FoundRecord> {
  const { catalog, journal, objects } = store;
  const image = await inspectImage(readRange(objects, object.key, { offset: 0, length: object.size }, () => {}));
  if (!filename.endsWith(`.${image.extension}`)) {
    throw new StorageError('TYPE_MISMATCH', `the name says another type, the bytes are ${image.contentType}`);
  }
  const nonce = (await readHeaders(objects, object.key))?.metadata.nonce ?? nanoid();
  const record = await recordOfFoundling(filename, image, readerOfObject(store, object), object.lastModified);
  const over = (await catalog.known(filename))?.etag;
  const found = await createOrRead(store, filename, () => putRecord(objects, { ...record, nonce }));
  await journal.write({ kind: 'found', filename, found, ...(over !== undefined && { over }) });
  return found;
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
  await copyAside(store, object);
  // A save whose record is still on its way must meet a tombstone before its object goes.
  const operation = { kind: 'save', nonce: nanoid(), filename, idempotencyKey: '', fingerprint: '' } as const;
  const found = await withdraw(store, operation);
  await settle(store, operation, found);
  return found.kind === 'tombstone';
}

/** Puts aside what is neither image nor record. */
export async function quarantineForeign(store: BucketStore, object: ListedObject): Promise<void> {
  await copyAside(store, object);
  await store.objects.remove(object.key);
}

/** To the same path below `metadata/quarantine`; what lies there already is never overwritten. */
async function copyAside({ objects, spool }: BucketStore, { key, size }: ListedObject): Promise<void> {
  const bytes = spool.open();
  const hash = createHash('sha256');
  try {
    const seen: StoredObject[] = [];
    for await (const chunk of readRange(objects, key, { offset: 0, length: size }, (object) => seen.push(object))) {
      hash.update(chunk);
      await bytes.write(chunk);
    }
    const headers = { contentType: 'application/octet-stream', metadata: seen[0]?.metadata ?? {} };
    const aside = `${KEY_ROOT}metadata/quarantine/${key.slice(KEY_ROOT.length)}`;
    const payload = bytes.payload(hash.digest('hex'));
    await objects.putNew(aside, payload, headers).catch(async (error) => {
      if (!failedWith(error, 'precondition')) throw error;
      await objects.putNew(`${aside}.${nanoid()}`, payload, headers);
    });
  } finally {
    await bytes.discard();
  }
}
