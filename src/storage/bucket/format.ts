/** Reads and creates FORMAT, the object with a store's identity, and checks that the bucket honours preconditions. */
import { StoreOpenError } from '../domain/errors.ts';
import { KEY_ROOT } from '../domain/naming.ts';
import { newStoreFormat, storeIdIn } from '../domain/store-format.ts';
import { failedWith, type ObjectHeaders, type ObjectStore } from './object-store.ts';
import { readSmall } from './reading.ts';
import { payloadOf } from './record-object.ts';
import type { BucketStore } from './store.ts';

const FORMAT_KEY = `${KEY_ROOT}metadata/FORMAT`;
const HEADERS: ObjectHeaders = { contentType: 'application/json', cacheControl: 'no-store' };
const NO_ETAG = '00000000000000000000000000000000';

/**
 * Returns the store's id, created on first use unless `expectedId` is set or `create` is false. Rejects with a
 * StoreOpenError `config`.
 */
export async function readOrCreateFormat(
  objects: ObjectStore,
  expectedId?: string,
  { create = true, onCreate }: { create?: boolean; onCreate?: () => void } = {},
): Promise<string> {
  let text = await readFormat(objects);
  if (text === undefined) {
    if (expectedId !== undefined) throw replaced(objects);
    if (!create) throw new StoreOpenError('config', noStore(objects));
    onCreate?.();
    await createIfAbsent(objects, newStoreFormat().text);
    text = (await readFormat(objects)) ?? '';
  }
  const storeId = storeIdOf(text, objects);
  if (expectedId !== undefined && storeId !== expectedId) throw replaced(objects);
  await checkPreconditions(objects, text);
  return storeId;
}

/**
 * Returns the store's id, or undefined where there is none yet. Writes nothing. Rejects with a StoreOpenError `config`,
 * also where the id is not `expectedId`.
 */
export async function readStoreId(objects: ObjectStore, expectedId?: string): Promise<string | undefined> {
  const text = await readFormat(objects);
  const storeId = text === undefined ? undefined : storeIdOf(text, objects);
  if (expectedId !== undefined && storeId !== expectedId) throw replaced(objects);
  return storeId;
}

/** Rejects with STORE_REPLACED when the bucket is no longer the store that was opened. */
export async function checkIdentity({ objects, storeId, condition }: BucketStore): Promise<void> {
  condition.checkWritable();
  const text = await readFormat(objects).catch((error) => {
    condition.noteState(error);
    throw error;
  });
  if (text === undefined || !text.includes(JSON.stringify(storeId))) throw condition.replaced();
}

async function readFormat(objects: ObjectStore): Promise<string | undefined> {
  return (await readSmall(objects, FORMAT_KEY))?.bytes.toString();
}

async function createIfAbsent(objects: ObjectStore, text: string): Promise<boolean> {
  try {
    await objects.putNew(FORMAT_KEY, payloadOf(text), HEADERS);
    return true;
  } catch (error) {
    if (failedWith(error, 'precondition')) return false;
    throw error;
  }
}

function storeIdOf(text: string, { location }: ObjectStore): string {
  const damaged = `${FORMAT_KEY} in ${location} is damaged or none of ours; use another prefix`;
  return storeIdIn(text, { store: `the store in ${location}`, damaged });
}

/** Rejects when the bucket ignores preconditions: images could be overwritten. Test writes leave FORMAT as it is. */
async function checkPreconditions(objects: ObjectStore, text: string): Promise<void> {
  if (await createIfAbsent(objects, text)) throw ignored(objects, 'If-None-Match');
  try {
    await objects.replaceIf(FORMAT_KEY, payloadOf(text), HEADERS, NO_ETAG);
  } catch (error) {
    if (failedWith(error, 'precondition')) return;
    throw error;
  }
  throw ignored(objects, 'If-Match');
}

/** Returns the error for a bucket that ignores the header. */
export function ignored({ location }: ObjectStore, header: string): StoreOpenError {
  return new StoreOpenError(
    'config',
    `${location} ignores ${header} on Put: two saves could overwrite each other; use a service or version with conditional writes`,
  );
}

/** Returns the message for a bucket without a store where none may be made. */
export function noStore({ location }: ObjectStore): string {
  return `there is no store in ${location}, and create: false forbids a new one: is it the right bucket and prefix?`;
}

function replaced({ location }: ObjectStore): StoreOpenError {
  return new StoreOpenError(
    'config',
    `${location} is not the store that the state folder belongs to; correct the bucket, or name another stateDir`,
  );
}
