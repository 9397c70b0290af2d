/** Reads and creates FORMAT, the object with a store's identity, and checks that the bucket honours preconditions. */
import { StoreOpenError } from '../domain/errors.ts';
import { KEY_ROOT } from '../domain/naming.ts';
import { formatOf, newStoreFormat, storeIdIn } from '../domain/store-format.ts';
import { HELP } from './help.ts';
import type { ObjectHeaders, ObjectStore } from './object-store.ts';
import { ignored, isRefused, probe } from './probe.ts';
import { readSmall } from './reading.ts';
import { payloadOf } from './record-object.ts';
import type { BucketStore } from './store.ts';

const FORMAT_KEY = `${KEY_ROOT}metadata/FORMAT`;
const HEADERS: ObjectHeaders = { contentType: 'application/json', cacheControl: 'no-store' };
const NO_ETAG = '00000000000000000000000000000000';

/**
 * Returns the store's id, created on first use unless `expectedId` is set or `create` is false, and whether it is new:
 * then the bucket has been probed. Rejects with a StoreOpenError `config`.
 */
export async function readOrCreateFormat(
  objects: ObjectStore,
  expectedId?: string,
  { create = true, onCreate }: { create?: boolean; onCreate?: () => void } = {},
): Promise<{ storeId: string; isNew: boolean }> {
  let text = await readFormat(objects);
  const isNew = text === undefined;
  if (text === undefined) {
    if (expectedId !== undefined) throw new StoreOpenError('config', missing(objects, expectedId));
    if (!create) throw new StoreOpenError('config', noStore(objects));
    // Before the store exists: a bucket that fails is refused by the next start, too.
    await probe(objects);
    onCreate?.();
    await createIfAbsent(objects, newStoreFormat().text);
    text = (await readFormat(objects)) ?? '';
  }
  const storeId = storeIdOf(text, objects);
  if (expectedId !== undefined && storeId !== expectedId) throw replaced(objects);
  await checkPreconditions(objects, text);
  return { storeId, isNew };
}

/**
 * Returns the store's id, or undefined where there is none yet. Writes nothing. Rejects with a StoreOpenError `config`,
 * also where the id is not `expectedId`.
 */
export async function readStoreId(objects: ObjectStore, expectedId?: string): Promise<string | undefined> {
  const text = await readFormat(objects);
  if (text === undefined && expectedId !== undefined) {
    throw new StoreOpenError('config', missing(objects, expectedId));
  }
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
  if (text === undefined) throw condition.lostFormat(missing(objects, storeId));
  if (!text.includes(JSON.stringify(storeId))) throw condition.replaced();
}

async function readFormat(objects: ObjectStore): Promise<string | undefined> {
  return (await readSmall(objects, FORMAT_KEY))?.bytes.toString();
}

async function createIfAbsent(objects: ObjectStore, text: string): Promise<boolean> {
  return !(await isRefused(objects.putNew(FORMAT_KEY, payloadOf(text), HEADERS)));
}

function storeIdOf(text: string, { location }: ObjectStore): string {
  const damaged = `${FORMAT_KEY} in ${location} is damaged or none of ours (${HELP.format}); use another prefix`;
  return storeIdIn(text, { store: `the store in ${location}`, damaged });
}

/** Rejects when the bucket ignores preconditions: images could be overwritten. Test writes leave FORMAT as it is. */
async function checkPreconditions(objects: ObjectStore, text: string): Promise<void> {
  if (await createIfAbsent(objects, text)) throw ignored(objects, 'If-None-Match');
  const replacing = objects.replaceIf(FORMAT_KEY, payloadOf(text), HEADERS, NO_ETAG);
  if (!(await isRefused(replacing))) throw ignored(objects, 'If-Match');
}

/** Says what is missing from the bucket, and how to put it back. */
function missing({ location }: ObjectStore, storeId: string): string {
  const text = formatOf(storeId).trim();
  return `${FORMAT_KEY} is missing in ${location}, which this state folder belongs to: if it is the right bucket, put the object back with the content ${text} (${HELP.format}); otherwise correct the bucket, or name another stateDir`;
}

/** Returns the message for a bucket without a store where none may be made. */
export function noStore({ location }: ObjectStore): string {
  return `there is no store in ${location}, and none may be made: is it the right bucket and prefix?`;
}

function replaced({ location }: ObjectStore): StoreOpenError {
  return new StoreOpenError(
    'config',
    `${location} is not the store that the state folder belongs to (${HELP.format}); correct the bucket, or name another stateDir`,
  );
}
