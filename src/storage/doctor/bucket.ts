/** Checks that a bucket offers what a store needs, with scratch objects that are removed afterwards. */

import { noStore, readStoreId } from '../bucket/format.ts';
import { type ObjectStore, ObjectStoreError } from '../bucket/object-store.ts';
import { retrying } from '../bucket/retrying-store.ts';
import type { BucketSettings } from '../domain/config.ts';
import { KEY_ROOT } from '../domain/naming.ts';
import type { StoreFormat } from '../domain/store-format.ts';
import { type Check, Shortcoming, step } from './check.ts';
import { examineIndex } from './index-server.ts';
import { Scratch } from './scratch.ts';
import { examineState } from './state-folder.ts';
import { type BucketUrls, examineEndpoint, examineUrls } from './urls.ts';

export interface ExaminedBucket {
  objects: ObjectStore;
  /** Unset when its objects cannot be fetched over HTTP. */
  urls?: BucketUrls;
}

/** Thrown when the credentials are valid and lack one permission, so that other calls may succeed. */
export class MissingPermission extends ObjectStoreError {
  constructor(guess: string, cause: ObjectStoreError) {
    super('auth', guess, { answer: cause.answer, scope: cause.scope, cause });
  }
}

/** Examines the state folder of the provider of that name, then its bucket. */
export async function* examineObjectStore(
  settings: BucketSettings,
  name: string,
  maxImageBytes: number,
  bucket: () => ExaminedBucket,
): AsyncGenerator<Check> {
  const bound = yield* examineState(settings, name, maxImageBytes);
  yield* examineIndex(settings, bound);
  yield* examineBucket(bucket(), bound, settings.create);
}

/** Examines a bucket, and closes `objects`. `bound` is the store that the state folder belongs to, if any. */
export async function* examineBucket(
  { objects: bare, urls }: ExaminedBucket,
  bound?: Partial<StoreFormat>,
  create = true,
): AsyncGenerator<Check> {
  // Some services answer 429 to rapid writes of one object.
  const objects = retrying(bare);
  const scratch = new Scratch(objects);
  try {
    if (!(yield* isUsable({ objects, urls }))) return;
    yield* step('store', async () => {
      const storeId = await readStoreId(objects, bound);
      if (storeId === undefined && !create) throw new Shortcoming(noStore(objects));
      return storeId === undefined ? 'no store yet: the first start makes one' : `it holds the store ${storeId}`;
    });
    yield* examineObjects(scratch, urls);
  } finally {
    await scratch.discard();
    objects.close?.();
  }
}

/** Returns false when all other checks would fail for the same reason. */
async function* isUsable({ objects, urls }: ExaminedBucket): AsyncGenerator<Check, boolean> {
  if (urls !== undefined && (yield* examineEndpoint(urls)) !== undefined) return false;
  const refused = yield* step('bucket', async () => {
    await objects.list(KEY_ROOT);
    return `${objects.location} is there`;
  });
  return refused === undefined || refused instanceof MissingPermission;
}

async function* examineObjects(scratch: Scratch, urls: BucketUrls | undefined): AsyncGenerator<Check> {
  if ((yield* step('create', () => scratch.create())) === undefined) {
    yield* step('race', () => scratch.race());
    yield* step('overwrite', () => scratch.overwrite());
    yield* step('get', () => scratch.read());
    yield* step('list', () => scratch.list());
    if (urls !== undefined) yield* examineUrls(urls, scratch);
  }
  yield* step('delete', () => scratch.delete());
}
