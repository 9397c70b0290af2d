/** Copies an image of another store into a bucket under the same name: the object, then the record as the commit. */
import { nanoid } from 'nanoid';
import { isSameSave } from '../domain/fingerprint.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { CopyUpload } from '../types.ts';
import type { Payload } from './object-store.ts';
import { imageHeaders, placeObject } from './place-object.ts';
import { putRecord } from './record-object.ts';
import { untilSilent } from './retrying-store.ts';
import { spooledUpload } from './spooled-upload.ts';
import { type BucketStore, createAndNote, knownTo, withoutIndex } from './store.ts';

export function openCopy(store: BucketStore, expectedBytes: number): CopyUpload {
  return spooledUpload(store, expectedBytes, (record, payload) => copyIn(store, record, payload));
}

/**
 * Returns false when the name is taken. A failed attempt leaves no tombstone: a later attempt finds its object, whose
 * bytes are the same, and continues from there.
 */
async function copyIn(open: BucketStore, wanted: ImageRecord, payload: Payload): Promise<boolean> {
  const store = { ...open, objects: untilSilent(open.objects, open.patience) };
  const { objects } = store;
  const { filename, sha256 } = wanted;
  const record = { ...wanted, idempotencyKey: await freeKey(store, wanted), nonce: nanoid() };
  const headers = imageHeaders(record);
  const accepts = ({ size, metadata }: { size: number; metadata: Record<string, string> }) =>
    metadata.sha256 === sha256 && size === record.size;
  if (!(await placeObject(objects, { key: record.key, payload, headers, accepts }))) return false;
  const over = (await knownTo(store, filename))?.etag;
  const found = await createAndNote(store, { filename, over }, () => putRecord(objects, record));
  return found.kind === 'live' && isSameSave(found.record, record);
}

/** Returns the idempotency key, or '' where another image has it in this store. */
async function freeKey({ catalog, index }: BucketStore, { idempotencyKey }: ImageRecord): Promise<string> {
  if (idempotencyKey === '') return '';
  return (await withoutIndex(index, () => catalog.findByKey(idempotencyKey))) === undefined ? idempotencyKey : '';
}
