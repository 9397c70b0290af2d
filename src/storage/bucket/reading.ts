/** Reads objects to their end, across broken connections. */
import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { failedWith, type ObjectStore, ObjectStoreError, type StoredObject } from './object-store.ts';

/** Far above the size of a record; of a larger object only the ETag matters. */
const MAX_SMALL_BYTES = 16 * 1024 * 1024;
const MAX_BREAKS = 8;
/** By then an overwrite in progress is complete. */
const PAUSE_MS = 100;
const READS_TO_BELIEVE = 3;

/** Returns the object with its body unread, or undefined where there is none. */
export async function readHeaders(objects: ObjectStore, key: string): Promise<StoredObject | undefined> {
  const object = await getIfPresent(objects, key);
  if (object !== undefined) abandon(object);
  return object;
}

export interface SmallObject {
  etag: string;
  bytes: Buffer;
}

/** Returns a whole object, without its bytes above 16 MiB, or undefined where there is none. */
export async function readSmall(objects: ObjectStore, key: string): Promise<SmallObject | undefined> {
  const seen: SmallObject[] = [];
  for (let breaks = 0; breaks < MAX_BREAKS; breaks += 1) {
    const object = await getIfPresent(objects, key);
    if (object === undefined) return undefined;
    const bytes = await wholeBody(object);
    if (bytes === undefined) continue;
    const found = { etag: object.etag, bytes };
    if (object.size > MAX_SMALL_BYTES || mayBelongTogether(objects, found)) return found;
    const same = seen.filter((earlier) => earlier.etag === found.etag && earlier.bytes.equals(bytes));
    // The mismatch persists: in this store an ETag is not an MD5.
    if (same.length === READS_TO_BELIEVE) otherEtags.add(objects);
    seen.push(found);
    await sleep(PAUSE_MS);
  }
  throw broken();
}

/** Stores whose ETags look like an MD5 but are not, as in encrypted buckets. */
const otherEtags = new WeakSet<ObjectStore>();

/**
 * Returns whether bytes and ETag can be of one version. A service that stores them apart, as versitygw does with a
 * sidecar, may return the old bytes with the new ETag during an overwrite: a write with If-Match would then undo a
 * change that it never saw.
 */
export function mayBelongTogether(
  objects: ObjectStore,
  { etag, bytes }: { etag: string; bytes: Buffer | string },
): boolean {
  return otherEtags.has(objects) || !/^[0-9a-f]{32}$/.test(etag) || hash('md5', bytes) === etag;
}

/**
 * Yields exactly these bytes; when a connection breaks, continues after the last byte that arrived. Calls `check` for
 * each answer, which throws where the object is not the expected one. Rejects with `not_found`.
 */
export async function* readRange(
  objects: ObjectStore,
  key: string,
  { offset, length }: { offset: number; length: number },
  check: (object: StoredObject) => void,
): AsyncGenerator<Uint8Array> {
  let done = 0;
  for (let breaks = 0; done < length; ) {
    if (breaks === MAX_BREAKS) throw broken();
    const before = done;
    const object = await objects.get(key, { offset: offset + done, length: length - done });
    checkOrAbandon(object, check);
    try {
      for await (const chunk of object.body as AsyncIterable<Uint8Array>) {
        const wanted = chunk.subarray(0, length - done);
        done += wanted.length;
        yield wanted;
      }
    } catch {
      // The next request continues from here; the cause may be no more than a long pause of the caller.
    }
    breaks = done > before ? 0 : breaks + 1;
  }
}

async function getIfPresent(objects: ObjectStore, key: string): Promise<StoredObject | undefined> {
  try {
    return await objects.get(key);
  } catch (error) {
    if (failedWith(error, 'not_found')) return undefined;
    throw error;
  }
}

/** Returns undefined when the connection broke or the body ended early. */
async function wholeBody(object: StoredObject): Promise<Buffer | undefined> {
  if (object.size > MAX_SMALL_BYTES) {
    abandon(object);
    return Buffer.alloc(0);
  }
  const bytes = await bytesOf(object);
  return bytes?.length === object.size ? bytes : undefined;
}

/** As `toArray` of a stream, in a fraction of the time. */
function bytesOf({ body }: StoredObject): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    if (body.destroyed) resolve(undefined);
    const parts: Buffer[] = [];
    body.on('data', (part) => parts.push(part)).on('end', () => resolve(Buffer.concat(parts)));
    body.on('error', () => resolve(undefined)).on('close', () => resolve(undefined));
  });
}

function checkOrAbandon(object: StoredObject, check: (object: StoredObject) => void): void {
  try {
    check(object);
  } catch (error) {
    abandon(object);
    throw error;
  }
}

function abandon({ body }: StoredObject): void {
  body.on('error', () => {}).destroy();
}

function broken(): ObjectStoreError {
  return new ObjectStoreError('unavailable', 'the connection to the object store breaks again and again');
}
