/** Reads and creates FORMAT, the object with a store's identity, and checks that the bucket honours preconditions. */
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreOpenError } from '../domain/errors.ts';
import { KEY_ROOT } from '../domain/naming.ts';
import {
  formatOf,
  type Need,
  needsOf,
  newStoreFormat,
  type StoreFormat,
  storeFormatIn,
} from '../domain/store-format.ts';
import { HELP } from './help.ts';
import { type ObjectHeaders, type ObjectStore, ObjectStoreError } from './object-store.ts';
import { ignored, isRefused, probe } from './probe.ts';
import { readSmall } from './reading.ts';
import { payloadOf } from './record-object.ts';
import type { BucketStore } from './store.ts';

const FORMAT_KEY = `${KEY_ROOT}metadata/FORMAT`;
const HEADERS: ObjectHeaders = { contentType: 'application/json', cacheControl: 'no-store' };
const MAX_ROUNDS = 5;
/** Between two attempts to create it. */
const CONFLICT_MS = 200;
const NO_ETAG = '00000000000000000000000000000000';

export interface FormatOptions {
  create?: boolean;
  /** Of a store that is created. */
  needs?: readonly Need[];
  onCreate?: () => void;
}

/**
 * Returns the store's id and needs, created on first use unless another id is expected or `create` is false, and whether it
 * is new: then the bucket has been probed. Rejects with a StoreOpenError `config`.
 */
export async function readOrCreateFormat(
  objects: ObjectStore,
  expected?: Partial<StoreFormat>,
  { create = true, needs = [], onCreate }: FormatOptions = {},
): Promise<StoreFormat & { isNew: boolean }> {
  let text = await readFormat(objects);
  const isNew = text === undefined;
  if (text === undefined) {
    if (expected?.storeId !== undefined) throw new StoreOpenError('config', missing(objects, expected));
    if (!create) throw new StoreOpenError('config', noStore(objects));
    // Before the store exists: a bucket that fails is refused by the next start, too.
    await probe(objects);
    onCreate?.();
    text = await createFormat(objects, formatOf(newStoreFormat().storeId, needs));
  }
  const format = formatIn(text, objects);
  if (expected?.storeId !== undefined && format.storeId !== expected.storeId) throw replaced(objects);
  await checkPreconditions(objects, text);
  return { ...format, isNew };
}

/**
 * Gives the store these needs, and no others. Requires that no other daemon uses it. Rejects with a StoreOpenError `config`
 * where the bucket holds another store.
 */
export async function changeNeeds(objects: ObjectStore, storeId: string, needs: readonly Need[]): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const found = await readSmall(objects, FORMAT_KEY);
    if (found === undefined) throw new StoreOpenError('config', missing(objects, { storeId }));
    const text = found.bytes.toString();
    if (formatIn(text, objects).storeId !== storeId) throw replaced(objects);
    const wanted = formatOf(storeId, needs);
    if (text === wanted) return;
    // A refused write may have met an earlier attempt of its own.
    await isRefused(objects.replaceIf(FORMAT_KEY, payloadOf(wanted), HEADERS, found.etag));
  }
  throw new ObjectStoreError('unavailable', `${FORMAT_KEY} changes faster than it can be replaced`);
}

/**
 * Returns the store's id, or undefined where there is none yet. Writes nothing. Rejects with a StoreOpenError `config`,
 * also where the id is not the expected one.
 */
export async function readStoreId(objects: ObjectStore, expected?: Partial<StoreFormat>): Promise<string | undefined> {
  const text = await readFormat(objects);
  if (text === undefined && expected?.storeId !== undefined) {
    throw new StoreOpenError('config', missing(objects, expected));
  }
  const storeId = text === undefined ? undefined : formatIn(text, objects).storeId;
  if (expected?.storeId !== undefined && storeId !== expected.storeId) throw replaced(objects);
  return storeId;
}

/**
 * Rejects with STORE_REPLACED when the bucket is no longer the store that was opened, was left to older versions, or got
 * another kind of index.
 */
export async function checkIdentity({
  objects,
  storeId,
  hasTrash,
  hasPostgres,
  condition,
}: Pick<BucketStore, 'objects' | 'storeId' | 'hasTrash' | 'hasPostgres' | 'condition'>): Promise<void> {
  condition.checkWritable();
  const text = await readFormat(objects).catch((error) => {
    condition.noteState(error);
    throw error;
  });
  const needs = needsOf({ hasTrash, hasPostgres });
  if (text === undefined) throw condition.lostFormat(missing(objects, { storeId, needs }));
  // Left to versions that know no trash, it must get no more of it.
  const isOurs = [storeId, ...needs].every((name) => text.includes(JSON.stringify(name)));
  const isForeign = !hasPostgres && text.includes(JSON.stringify('postgres' satisfies Need));
  if (!isOurs || isForeign) throw condition.replaced();
}

async function readFormat(objects: ObjectStore): Promise<string | undefined> {
  return (await readSmall(objects, FORMAT_KEY))?.bytes.toString();
}

/** Returns what is there then. A create may be refused while that of another daemon is on its way, which nobody sees yet. */
async function createFormat(objects: ObjectStore, wanted: string): Promise<string> {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    if (round > 0) await sleep(CONFLICT_MS);
    await createIfAbsent(objects, wanted);
    const text = await readFormat(objects);
    if (text !== undefined) return text;
  }
  throw new ObjectStoreError('unavailable', `${FORMAT_KEY} can neither be created nor read`);
}

async function createIfAbsent(objects: ObjectStore, text: string): Promise<boolean> {
  return !(await isRefused(objects.putNew(FORMAT_KEY, payloadOf(text), HEADERS)));
}

function formatIn(text: string, { location }: ObjectStore): StoreFormat {
  const damaged = `${FORMAT_KEY} in ${location} is damaged or none of ours (${HELP.format}); use another prefix`;
  return storeFormatIn(text, { store: `the store in ${location}`, damaged });
}

/** Rejects when the bucket ignores preconditions: images could be overwritten. Test writes leave FORMAT as it is. */
async function checkPreconditions(objects: ObjectStore, text: string): Promise<void> {
  if (await createIfAbsent(objects, text)) throw ignored(objects, 'If-None-Match');
  const replacing = objects.replaceIf(FORMAT_KEY, payloadOf(text), HEADERS, NO_ETAG);
  if (!(await isRefused(replacing))) throw ignored(objects, 'If-Match');
}

/** Says what is missing from the bucket, and how to put it back. */
function missing({ location }: ObjectStore, { storeId, needs }: Partial<StoreFormat>): string {
  const text = formatOf(storeId ?? '', needs).trim();
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
