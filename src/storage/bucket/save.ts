/** One save into a bucket: the object, then the record, which is the commit. */
import { nanoid } from 'nanoid';
import type { FoundRecord, PendingOperation, RecordTombstone } from '../catalog/bucket-catalog.ts';
import type { EarlierSave } from '../catalog/catalog.ts';
import { StorageError } from '../domain/errors.ts';
import { checkReplay } from '../domain/fingerprint.ts';
import { derivedShortId, imageKey, withShortId } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { Committed, Upload } from '../types.ts';
import type { Payload, StoredObject } from './object-store.ts';
import { imageHeaders, placeObject } from './place-object.ts';
import { putRecord, readRecord } from './record-object.ts';
import { untilSilent } from './retrying-store.ts';
import { spooledUpload } from './spooled-upload.ts';
import { type BucketStore, createOrRead, isInDoubt, settle, withdraw } from './store.ts';

const MAX_NAMES = 16;

export function openUpload(store: BucketStore, filename: string, expectedBytes?: number): Upload {
  return {
    filename,
    ...spooledUpload(store, expectedBytes, async (record, payload, isDated) => {
      // Of a retry the bucket tells by the name, which is another one at another time; otherwise only the index can.
      if (!isDated && record.idempotencyKey !== '') await store.index?.checkKey(record.idempotencyKey);
      return saveImage(store, named(record, filename), payload);
    }),
  };
}

/**
 * With an idempotency key, the name follows the model as it was sent, whatever the file says: a retry through a daemon
 * that reads files otherwise must meet the record of the first attempt.
 */
function named(record: ImageRecord, opened: string): ImageRecord {
  return record.idempotencyKey === '' ? record : { ...record, filename: opened };
}

async function saveImage(open: BucketStore, wanted: ImageRecord, payload: Payload): Promise<Committed> {
  const store = { ...open, objects: untilSilent(open.objects, open.patience) };
  for (let count = 0; count < MAX_NAMES; count += 1) {
    const filename = filenameOf(wanted, count, store.context.shortId);
    const record = { ...wanted, filename, key: imageKey(filename), nonce: nanoid() };
    const committed = await new SaveAttempt(store, record, payload).run();
    if (committed !== undefined) return committed;
  }
  throw new StorageError('BACKEND_UNAVAILABLE', 'no free name was found; try again', { retryAfterMs: 1_000 });
}

/**
 * Returns the name for an attempt. With an idempotency key all attempts of all daemons try the same names in the same
 * order, so that they compete for one record.
 */
function filenameOf(wanted: ImageRecord, count: number, shortId: () => string): string {
  if (wanted.idempotencyKey !== '')
    return withShortId(wanted.filename, derivedShortId(`${count} ${wanted.idempotencyKey}`));
  return count === 0 ? wanted.filename : withShortId(wanted.filename, shortId());
}

/**
 * Returns the first result of the key. Where only a tombstone tells of it, all other fields are those of `wanted`, since
 * the fingerprints are equal.
 */
function replay(first: ImageRecord | RecordTombstone, wanted: ImageRecord, deleted: boolean): Committed {
  checkReplay(first, wanted);
  // A row that was made from a tombstone has no sha256.
  if ('sha256' in first && first.sha256 !== '') return replayOf(first, deleted);
  const { filename, createTime, timestamp, pinned } = first;
  return replayOf({ ...wanted, filename, key: imageKey(filename), createTime, timestamp, pinned }, deleted);
}

function replayOf(record: ImageRecord, deleted: boolean): Committed {
  return { record, replayed: true, deleted, settled: Promise.resolve() };
}

/** An attempt to save under one name. */
class SaveAttempt {
  readonly #store: BucketStore;
  readonly #record: ImageRecord & { nonce: string };
  readonly #payload: Payload;
  readonly #operation: PendingOperation;
  /** True when the object, or the record, may be in the bucket or in flight. */
  #objectSent = false;
  #recordSent = false;

  constructor(store: BucketStore, record: ImageRecord & { nonce: string }, payload: Payload) {
    this.#store = store;
    this.#record = record;
    this.#payload = payload;
    const { nonce, filename, idempotencyKey, fingerprint } = record;
    this.#operation = { kind: 'save', nonce, filename, idempotencyKey, fingerprint };
  }

  /** Returns undefined when the name is taken. */
  async run(): Promise<Committed | undefined> {
    const [earlier] = await this.#store.journal.write({ kind: 'begin', operation: this.#operation });
    if (earlier !== undefined) {
      const { record, deleted } = await this.#asItIs(earlier);
      return replay(record, this.#record, deleted);
    }
    let failure: unknown;
    let found: FoundRecord;
    try {
      found = await this.#reachRecord();
    } catch (error) {
      failure = error;
      found = await this.#withdraw(error);
    }
    await this.#settle(found);
    const committed = this.#judge(found);
    if (committed === undefined && failure !== undefined) throw this.#store.condition.fold(failure);
    return committed;
  }

  /** Another daemon may have updated the image since the catalog saw its record. */
  async #asItIs(earlier: EarlierSave): Promise<EarlierSave> {
    const { shared, objects, condition } = this.#store;
    if (!shared) return earlier;
    const found = await readRecord(objects, earlier.record.filename).catch((error) => {
      throw condition.fold(error);
    });
    if (found.kind === 'live') return { record: found.record, deleted: false };
    return { ...earlier, deleted: earlier.deleted || found.kind === 'trashed' || found.kind === 'tombstone' };
  }

  /** Returns what is at the record's key once nothing of this attempt can change it any more. */
  async #reachRecord(): Promise<FoundRecord> {
    const { meter } = this.#store.context;
    const began = performance.now();
    if (!(await this.#placeObject())) return withdraw(this.#store, this.#operation);
    const placedAt = performance.now();
    meter?.stage('sync', placedAt - began);
    const put = () => putRecord(this.#store.objects, this.#record);
    const found = await createOrRead(this.#store, this.#record.filename, () =>
      put().catch((error) => {
        this.#recordSent ||= isInDoubt(error);
        throw error;
      }),
    );
    meter?.stage('commit', performance.now() - placedAt);
    return found;
  }

  /** Returns false when other bytes have the name. */
  #placeObject(): Promise<boolean> {
    return placeObject(this.#store.objects, {
      key: this.#record.key,
      payload: this.#payload,
      headers: imageHeaders(this.#record),
      accepts: (object) => this.#accepts(object),
      onSent: () => {
        this.#objectSent = true;
      },
    });
  }

  /** Returns whether these are our bytes: from this attempt, or from another with our idempotency key. */
  #accepts({ size, metadata }: StoredObject): boolean {
    const ours = imageHeaders(this.#record).metadata;
    const sameImage =
      this.#record.idempotencyKey !== '' && metadata.key === ours.key && metadata.sha256 === ours.sha256;
    return metadata.nonce === ours.nonce || (sameImage && size === this.#record.size);
  }

  /** Gives up. Returns what is at the record's key afterwards; rejects when that is unknown or nothing was sent. */
  async #withdraw(error: unknown): Promise<FoundRecord> {
    const { condition, journal, unsettled } = this.#store;
    try {
      if (this.#objectSent || this.#recordSent) return await withdraw(this.#store, this.#operation);
      await journal.write({ kind: 'end', nonce: this.#record.nonce });
    } catch {
      unsettled.set(this.#record.nonce, this.#operation);
    }
    throw condition.fold(error, this.#recordSent);
  }

  async #settle(found: FoundRecord): Promise<void> {
    try {
      await settle(this.#store, this.#operation, found);
    } catch (error) {
      throw this.#store.condition.fold(error, true);
    }
  }

  #judge(found: FoundRecord): Committed | undefined {
    const stands = savedIn(found);
    if (stands === undefined) return undefined;
    if (stands.nonce === this.#record.nonce) {
      return {
        record: found.kind === 'live' ? found.record : this.#record,
        replayed: false,
        deleted: false,
        settled: Promise.resolve(),
      };
    }
    const { idempotencyKey } = this.#record;
    if (idempotencyKey === '' || stands.idempotencyKey !== idempotencyKey) return undefined;
    return replay(stands, this.#record, found.kind !== 'live');
  }
}

/** Returns what tells of the image that was saved under the name, whatever became of it. */
function savedIn(found: FoundRecord): ImageRecord | RecordTombstone | undefined {
  switch (found.kind) {
    case 'live':
      return found.record;
    case 'trashed':
      return found.trashed.record;
    case 'tombstone':
      return found.tombstone.kind === 'deleted' ? found.tombstone : undefined;
    case 'absent':
    case 'foreign':
      return undefined;
  }
}
