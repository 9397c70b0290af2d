/** Creates the object of an image exactly once, even when answers are lost. */
import { hash } from 'node:crypto';
import type { ImageRecord } from '../domain/record.ts';
import type { ObjectHeaders, ObjectStore, Payload, StoredObject } from './object-store.ts';
import { readHeaders } from './reading.ts';
import { isInDoubt } from './store.ts';

const MAX_ROUNDS = 3;

export type ImageHeaders = ObjectHeaders & { metadata: Record<string, string> };

/** Returns what is stored with the bytes: how to serve them, and which save they are from. */
export function imageHeaders({
  contentType,
  filename,
  nonce,
  sha256,
  idempotencyKey,
}: ImageRecord & { nonce: string }): ImageHeaders {
  return {
    contentType,
    cacheControl: 'public, max-age=31536000, immutable',
    contentDisposition: `inline; filename="${filename}"`,
    metadata: { nonce, sha256, ...(idempotencyKey !== '' && { key: hash('sha256', idempotencyKey) }) },
  };
}

export interface Placing {
  key: string;
  payload: Payload;
  headers: ImageHeaders;
  /** Returns whether an existing object may serve as this one. */
  accepts: (object: StoredObject) => boolean;
  /** Called when the object may be in the bucket or in flight. */
  onSent?: () => void;
}

/** Returns false when other bytes have the name. */
export async function placeObject(
  objects: ObjectStore,
  { key, payload, headers, accepts, onSent }: Placing,
): Promise<boolean> {
  for (let round = 1; ; round += 1) {
    try {
      await objects.putNew(key, payload, headers);
      onSent?.();
      return true;
    } catch (error) {
      if (!isInDoubt(error)) throw error;
      onSent?.();
      const object = await readHeaders(objects, key);
      if (object !== undefined) return accepts(object);
      if (round === MAX_ROUNDS) throw error;
    }
  }
}
