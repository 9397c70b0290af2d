/** Stores the image of another store in a bucket under the same name: the object, then the record, which is the commit. */
import { nanoid } from 'nanoid';
import type { FoundRecord } from '../catalog/bucket-catalog.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { CopyUpload } from '../types.ts';
import { tellsOnlyOfBytes } from './adopt.ts';
import type { Payload } from './object-store.ts';
import { imageHeaders, placeObject } from './place-object.ts';
import { putRecord, replaceRecord } from './record-object.ts';
import { spooledUpload } from './spooled-upload.ts';
import { type BucketStore, createAndNote } from './store.ts';

export function openCopy(store: BucketStore, expectedBytes: number): CopyUpload {
  return spooledUpload(store, expectedBytes, (record, payload) => copyIn(store, record, payload));
}

/**
 * False when the name is not free. An attempt that fails leaves no tombstone: one that comes later finds the object of
 * the first, whose bytes are the same, and goes on from there.
 */
async function copyIn(store: BucketStore, wanted: ImageRecord, payload: Payload): Promise<boolean> {
  const { objects, takingOver } = store;
  const { filename, sha256 } = wanted;
  const record = { ...wanted, idempotencyKey: await freeKey(store, wanted), nonce: nanoid() };
  takingOver.add(filename);
  try {
    const headers = imageHeaders(record);
    const accepts = ({ size, metadata }: { size: number; metadata: Record<string, string> }) =>
      metadata.sha256 === sha256 && size === record.size;
    if (!(await placeObject(objects, { key: record.key, payload, headers, accepts }))) return false;
    const found = await commit(store, record);
    return found.kind === 'live' && isSame(found.record, record);
  } finally {
    takingOver.delete(filename);
  }
}

/**
 * What stands at the key of the record then, as the catalog knows, too. `verify` may have made one of the bytes that a
 * killed copy left: the true record takes its place.
 */
async function commit(store: BucketStore, record: ImageRecord): Promise<FoundRecord> {
  const { catalog, objects } = store;
  const { filename } = record;
  const over = (await catalog.known(filename))?.etag;
  // Noted before it is replaced: a sync that is under way may teach the catalog `found` meanwhile, and then what takes
  // its place is no news over what was known at first.
  const found = await createAndNote(store, { filename, over }, () => putRecord(objects, record));
  if (found.kind !== 'live' || isSame(found.record, record)) return found;
  if (found.record.sha256 !== record.sha256 || !(await tellsOnlyOfBytes(store, found.record))) return found;
  return createAndNote(store, { filename, over: found.etag }, () => replaceRecord(objects, record, found.etag));
}

/** The same bytes, saved with the same metadata. */
function isSame(one: ImageRecord, other: ImageRecord): boolean {
  return one.sha256 === other.sha256 && one.fingerprint === other.fingerprint;
}

/** The key, unless another image has it here. */
async function freeKey({ catalog }: BucketStore, { idempotencyKey }: ImageRecord): Promise<string> {
  if (idempotencyKey === '') return '';
  return (await catalog.findByKey(idempotencyKey)) === undefined ? idempotencyKey : '';
}
