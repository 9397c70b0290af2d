/** Images in a bucket: the record is the commit, the catalog an index over the records. */
import type { Catalog, ImageRecord, Outcome } from '../catalog/types.ts';
import { StorageError } from '../errors.ts';
import { capacityOf } from '../local/file-system.ts';
import { folderOf } from '../naming.ts';
import { deleteImage } from '../object/delete.ts';
import { failedWith, type StoredObject } from '../object/object-store.ts';
import { type BucketOptions, type OpenBucket, openBucket } from '../object/open-bucket.ts';
import { readRange } from '../object/reading.ts';
import { readRecord } from '../object/record-object.ts';
import { openUpload } from '../object/save.ts';
import { startUpkeep } from '../object/upkeep.ts';
import type { CleanupOptions, CleanupResult, ProviderContext, ProviderHealth, StorageProvider } from '../types.ts';
import { BaseProvider, type Upload } from './base-provider.ts';

/** Room that a save leaves on the disk of the state folder for the catalog. */
const HEADROOM_BYTES = 1024 * 1024;
/** How long an answer about free space is good for. */
const FREE_SPACE_MS = 1_000;
/** A new or small bucket serves everything from the start. */
const FIRST_FILL_MS = 2_000;

export interface ObjectStorageOptions extends BucketOptions {
  /** What the provider says it is: `s3`, … */
  storageType: string;
  /** Where callers find the object of that key. */
  urlOf: (key: string) => Promise<string>;
}

/** Opens the store in a bucket, creating it on first use. Rejects with a StoreOpenError. */
export async function openObjectStorage(
  options: ObjectStorageOptions,
  context: ProviderContext,
): Promise<StorageProvider> {
  const store = await openBucket(options, context);
  const stopUpkeep = startUpkeep(store, options.syncSeconds);
  await store.synchronizer.settleWithin(FIRST_FILL_MS);
  return new ObjectStorage(store, options, stopUpkeep);
}

export class ObjectStorage extends BaseProvider {
  readonly storageType: string;
  readonly #store: OpenBucket;
  readonly #urlOf: (key: string) => Promise<string>;
  readonly #stopUpkeep: () => Promise<void>;
  readonly #running = new Set<Promise<unknown>>();
  #free: { bytes: Promise<number>; until: number } | undefined;

  constructor(
    store: OpenBucket,
    { storageType, urlOf }: Pick<ObjectStorageOptions, 'storageType' | 'urlOf'>,
    stopUpkeep: () => Promise<void>,
  ) {
    super(store.context);
    this.#store = store;
    this.storageType = storageType;
    this.#urlOf = urlOf;
    this.#stopUpkeep = stopUpkeep;
  }

  get health(): ProviderHealth {
    return this.#store.condition.health;
  }

  protected get catalog(): Pick<Catalog, 'find'> {
    return { find: (filename) => this.#folded(this.#find(filename)) };
  }

  /** From the bucket where others write to it, or where the catalog knows nothing. */
  async #find(filename: string): Promise<ImageRecord | undefined> {
    const { shared, catalog, objects } = this.#store;
    if (folderOf(filename) === undefined) return undefined;
    const record = shared ? undefined : await catalog.find(filename);
    if (record !== undefined) return record;
    const found = await readRecord(objects, filename);
    return found.kind === 'live' ? found.record : undefined;
  }

  protected async completeCatalog(): Promise<Catalog> {
    this.#store.synchronizer.checkFilled();
    return this.#store.catalog;
  }

  protected async checkWritable(sizeBytes: number): Promise<void> {
    this.#store.condition.checkWritable();
    if ((await this.#freeBytes()) < sizeBytes + HEADROOM_BYTES) {
      throw new StorageError('DISK_FULL', 'the disk of the state folder is full', { retryAfterMs: 10_000 });
    }
  }

  /** Asked of the file system once a second: a save may last no longer than the question. */
  #freeBytes(): Promise<number> {
    const now = performance.now();
    if (this.#free === undefined || now > this.#free.until) {
      const bytes = capacityOf(this.#store.stateDir).then(({ freeBytes = Number.POSITIVE_INFINITY }) => freeBytes);
      this.#free = { bytes, until: now + FREE_SPACE_MS };
    }
    return this.#free.bytes;
  }

  protected async openUpload(filename: string): Promise<Upload> {
    const upload = openUpload(this.#store, filename);
    return { ...upload, commit: (record) => this.#untilClosed(upload.commit(record)) };
  }

  protected async *readBytes(record: ImageRecord, offset: number, length: number): AsyncGenerator<Uint8Array> {
    try {
      yield* readRange(this.#store.objects, record.key, { offset, length }, (object) => checkObject(object, record));
    } catch (error) {
      throw failedWith(error, 'not_found') ? await this.#missing(record) : this.#store.condition.fold(error);
    }
  }

  /** Deleted since its record was read, or gone without a delete. */
  async #missing({ filename }: ImageRecord): Promise<StorageError> {
    const found = await this.#folded(readRecord(this.#store.objects, filename));
    if (found.kind !== 'live') return new StorageError('IMAGE_NOT_FOUND', 'no image of that name');
    return new StorageError('BYTES_MISSING', 'the image was saved, and its object is gone');
  }

  protected async remove(filename: string, sparePinned: boolean): Promise<Outcome> {
    if (folderOf(filename) === undefined) return { done: false, why: 'not_found' };
    this.#store.condition.checkWritable();
    return this.#folded(this.#untilClosed(deleteImage(this.#store, filename, sparePinned)));
  }

  /** On a shared bucket, of all that was saved and deleted anywhere before the call. */
  override async cleanup(options: CleanupOptions): Promise<CleanupResult> {
    const { shared, synchronizer } = this.#store;
    if (shared && synchronizer.filled) await this.#folded(this.#untilClosed(synchronizer.run()));
    return super.cleanup(options);
  }

  protected async locate(record: ImageRecord): Promise<{ url: string }> {
    return { url: await this.#urlOf(record.key) };
  }

  protected async capacity(): Promise<object> {
    return {};
  }

  protected async release(): Promise<void> {
    const { closing, catalog, journal, lock, objects, condition } = this.#store;
    closing.abort();
    await Promise.allSettled([this.#stopUpkeep(), ...this.#running]);
    await journal.idle();
    try {
      await catalog.close(condition.health.serving);
    } finally {
      objects.close?.();
      lock.release();
    }
  }

  async #untilClosed<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
    }
  }

  async #folded<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw this.#store.condition.fold(error);
    }
  }
}

/** The size and, where the object tells it, the sha256 are those of the record; else BYTES_CORRUPT. */
function checkObject({ size, metadata }: StoredObject, record: ImageRecord): void {
  if (size === record.size && (metadata.sha256 ?? record.sha256) === record.sha256) return;
  throw new StorageError('BYTES_CORRUPT', 'the stored object is not the one that was saved');
}
