/** Tries on scratch objects what a store needs of a bucket: atomic conditional writes, and listings that go on. */
import { nanoid } from 'nanoid';
import { StoreOpenError } from '../domain/errors.ts';
import { KEY_ROOT } from '../domain/naming.ts';
import { HELP } from './help.ts';
import { checkOrder } from './listing.ts';
import { failedWith, type ObjectHeaders, type ObjectStore, ObjectStoreError } from './object-store.ts';
import { readSmall } from './reading.ts';
import { payloadOf } from './record-object.ts';

/** Neither an image's folder nor a record's, so that no reader takes a scratch object for one. */
export const SCRATCH: string = `${KEY_ROOT}metadata/doctor/`;
const HEADERS: ObjectHeaders = { contentType: 'text/plain', cacheControl: 'no-store' };
export const WRITERS = 8;

/**
 * Rejects with a StoreOpenError `config` or an ObjectStoreError that names what the service does wrong. Removes what it
 * writes, as far as the service lets it.
 */
export async function probe(objects: ObjectStore): Promise<void> {
  const key = `${SCRATCH}${nanoid()}`;
  const create = () => objects.putNew(key, payloadOf('scratch of image-storage'), HEADERS);
  try {
    // An earlier attempt of the call may have created it.
    await isRefused(create());
    if (!(await isRefused(create()))) throw ignored(objects, 'If-None-Match');
    await race(objects, raceKey(key));
    await checkStartAfter(objects, key);
  } finally {
    await Promise.allSettled([key, raceKey(key)].map((written) => objects.remove(written)));
  }
}

/** Returns the key of the race beside this scratch object; it follows it in listings. */
export function raceKey(key: string): string {
  return `${key}-race`;
}

/**
 * Lets eight writers create one object at once. Rejects with a StoreOpenError `config` when more than one succeeds: the
 * service checks the precondition before the write instead of during it.
 */
export async function race(objects: ObjectStore, key: string): Promise<void> {
  const writers = Array.from({ length: WRITERS }, (_, writer) => `writer ${writer}`);
  const answers = await Promise.allSettled(writers.map((text) => objects.putNew(key, payloadOf(text), HEADERS)));
  const winners = writers.filter((_, writer) => answers[writer]!.status === 'fulfilled');
  if (winners.length === 0) await throwUnlessCreated(answers);
  const left = (await readSmall(objects, key))?.bytes.toString();
  if (winners.length === 0 ? left !== undefined : winners.length === 1 && left === winners[0]) return;
  throw new StoreOpenError(
    'config',
    `of ${WRITERS} writers at once ${winners.length} created the object: saves could overwrite each other (${HELP.conditionalWrites}); use a service or version whose conditional writes are atomic`,
  );
}

/** A writer whose answer was lost may have created the object; then it was refused when it tried again. */
async function throwUnlessCreated(answers: readonly PromiseSettledResult<unknown>[]): Promise<void> {
  const reasons = answers.map((answer) => (answer as PromiseRejectedResult).reason as unknown);
  const other = reasons.find((reason) => !failedWith(reason, 'precondition'));
  if (other !== undefined) throw other;
}

/** Requires that both scratch objects exist. */
async function checkStartAfter(objects: ObjectStore, key: string): Promise<void> {
  const { objects: behind } = await objects.list(key, key);
  checkOrder(behind, key);
  if (behind.some((object) => object.key === raceKey(key))) return;
  throw new ObjectStoreError('misconfigured', `the service does not list a new object at once (${HELP.listings})`);
}

/** Returns whether the write was refused by its precondition. */
export async function isRefused(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return false;
  } catch (error) {
    if (failedWith(error, 'precondition')) return true;
    throw error;
  }
}

/** Returns the error for a bucket that ignores the header. */
export function ignored({ location }: ObjectStore, header: string): StoreOpenError {
  return new StoreOpenError(
    'config',
    `${location} ignores ${header} on Put: two saves could overwrite each other (${HELP.conditionalWrites}); use a service or version with conditional writes`,
  );
}
