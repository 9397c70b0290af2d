/** What every provider does, once: validation, naming, hashing, list, cleanup and statistics over its catalog. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { chunksOf } from '../async/byte-source.ts';
import { Slots } from '../async/slots.ts';
import type { Catalog, Outcome } from '../catalog/catalog.ts';
import { StorageError, throwIfCancelled, toStorageError } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import type { ImageMetadata, StorageItem, StorageResult, StoredImage } from '../domain/image.ts';
import type { StoredState, VerifyEvent, VerifyOptions } from '../domain/maintenance.ts';
import { imageFilename, imageKey, modelSlug } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import type {
  ByteSource,
  CleanupOptions,
  CleanupResult,
  GetOptions,
  ImageFilter,
  ListOptions,
  ProviderHealth,
  ProviderStatistics,
  Resume,
  SaveOptions,
} from '../domain/requests.ts';
import {
  type CheckedMetadata,
  checkAgainst,
  checkCount,
  checkDeclared,
  checkIdempotencyKey,
  checkMetadata,
  checkType,
} from '../domain/validation.ts';
import { type DetectedType, ImageInspector } from '../formats/inspector.ts';
import { itemOf, type Location } from '../lists/item.ts';
import { createListing, toQuery } from '../lists/listing.ts';
import type { Checked, CheckOptions } from '../maintenance/maintenance.ts';
import { allRecords, measureRecords } from '../maintenance/records.ts';
import { verifyEvents } from '../maintenance/verify.ts';
import { checkCleanup, cleanUp } from '../retention/cleanup.ts';
import type {
  Committed,
  CopyUpload,
  Listing,
  Maintainable,
  ProviderContext,
  StorageProvider,
  Upload,
} from '../types.ts';

type ReceivedBytes = Pick<ImageRecord, 'size' | 'sha256' | 'contentType' | 'width' | 'height'>;

export abstract class BaseProvider implements StorageProvider, Maintainable {
  readonly name: string;
  abstract readonly storageType: string;
  protected readonly context: ProviderContext;
  readonly #slots: Slots;
  readonly #running = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(context: ProviderContext) {
    this.context = context;
    this.name = context.name;
    this.#slots = new Slots(context.limits.maxSaves, context.limits.saveQueueMs);
  }

  abstract get health(): ProviderHealth;
  abstract readonly storeId: string;
  /**
   * Begins a close, before calls under way are waited for: ends background work, and calls that would take long, which
   * then reject with `reason`.
   */
  protected async beginClose(_reason: StorageError): Promise<void> {}
  /** Frees the root; no call runs any more. */
  protected abstract release(): Promise<void>;

  /** The catalog, for answers about one image. */
  protected abstract readonly catalog: Pick<Catalog, 'find'>;
  /** The catalog once it is complete, for answers about all; CATALOG_REBUILDING until then. */
  protected abstract completeCatalog(): Promise<Catalog>;
  /** The complete catalog, once it knows of all that was saved and deleted anywhere before the call. */
  protected currentCatalog(): Promise<Catalog> {
    return this.completeCatalog();
  }
  /** Throws when nothing can be written now (STORE_READ_ONLY, DISK_FULL for so many bytes, …). */
  protected abstract checkWritable(sizeBytes: number): Promise<void>;
  /** `expectedBytes`: what the caller declared. */
  protected abstract openUpload(filename: string, expectedBytes?: number): Promise<Upload>;
  /** Exactly these bytes, or BYTES_MISSING, BYTES_CORRUPT. */
  protected abstract readBytes(record: ImageRecord, offset: number, length: number): AsyncIterable<Uint8Array>;
  protected abstract remove(filename: string, sparePinned: boolean): Promise<Outcome>;
  /** Where a caller finds the bytes. */
  protected abstract locate(record: ImageRecord): Location | Promise<Location>;
  /** Whether the name is taken by an image that is no more. */
  protected abstract isDeleted(filename: string): Promise<boolean>;
  /** Undefined when the name is not free. */
  protected abstract openCopy(filename: string, expectedBytes: number): Promise<CopyUpload | undefined>;
  /** Looks at each place of the store in turn. */
  protected abstract check(
    options: CheckOptions,
    forget: (filename: string) => Promise<boolean>,
  ): AsyncIterable<Checked>;
  protected abstract capacity(): Promise<{ capacityBytes?: number; freeBytes?: number }>;

  close(): Promise<void> {
    this.#closed ??= Promise.allSettled([this.beginClose(closing()), ...this.#running]).then(() => this.release());
    return this.#closed;
  }

  /** Lets `close` wait for the work; BACKEND_UNAVAILABLE once it was called. */
  async #untilClosed<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw closing();
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  save(source: ByteSource, metadata: ImageMetadata, options: SaveOptions = {}): Promise<StorageResult> {
    return this.#untilClosed(() => this.#save(source, metadata, options));
  }

  async #save(source: ByteSource, metadata: ImageMetadata, options: SaveOptions): Promise<StorageResult> {
    const checked = checkMetadata(metadata, this.context.limits);
    const idempotencyKey = checkIdempotencyKey(options);
    checkDeclared(options);
    if ((options.size ?? 0) > this.context.limits.maxImageBytes) throw this.#tooLarge();
    const release = await this.#slots.acquire(options.signal);
    try {
      const { record, replayed, settled } = await this.#receive(source, checked, { ...options, idempotencyKey });
      settled.then(release, release);
      return { ...(await this.#item(record)), replayed };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #receive(source: ByteSource, metadata: CheckedMetadata, options: SaveOptions): Promise<Committed> {
    await folded(this.checkWritable(options.size ?? 0));
    const timestamp = metadata.timestamp ?? this.context.now();
    const inspector = new ImageInspector();
    const hash = createHash('sha256');
    const undetected: Uint8Array[] = [];
    let size = 0;
    let upload: Upload | undefined;
    try {
      for await (const chunk of chunksOf(source, options.signal)) {
        size += chunk.length;
        if (size > this.context.limits.maxImageBytes) throw this.#tooLarge();
        inspector.push(chunk);
        hash.update(chunk);
        if (inspector.detected === undefined) {
          undetected.push(chunk.slice());
          continue;
        }
        upload ??= await this.#begin(inspector.detected, timestamp, metadata.model, options);
        for (const bytes of undetected.splice(0)) await folded(upload.write(bytes));
        await folded(upload.write(chunk));
      }
      const { extension: _, ...format } = inspector.finish();
      const sha256 = hash.digest('hex');
      for (const declared of [options, options.trailer?.() ?? {}]) checkAgainst(declared, { size, sha256 });
      // Node's gRPC client cancels with a half-close and a reset behind it: a turn later the reset has been read.
      await setImmediate();
      throwIfCancelled(options.signal);
      if (upload === undefined) throw new StorageError('IMAGE_TRUNCATED', 'the image ends before its type is known');
      const record = this.#record(upload.filename, { size, sha256, ...format }, timestamp, metadata, options);
      const whole = upload;
      upload = undefined;
      return await folded(whole.commit(record, options.signal));
    } catch (error) {
      await upload?.discard().catch((cause) => {
        this.context.log.warn(
          { err: cause, provider: this.name },
          'an upload could not be cleaned up; the next start does it',
        );
      });
      throw error;
    }
  }

  #begin(detected: DetectedType, timestamp: number, model: string, options: SaveOptions): Promise<Upload> {
    checkType(options.contentType, detected.contentType);
    const filename = imageFilename(timestamp, modelSlug(model), this.context.shortId(), detected.extension);
    return folded(this.openUpload(filename, options.size));
  }

  #record(
    filename: string,
    bytes: ReceivedBytes,
    timestamp: number,
    sent: CheckedMetadata,
    options: SaveOptions,
  ): ImageRecord {
    const { prompt, model, category, parametersJson, tags } = sent;
    return {
      filename,
      key: imageKey(filename),
      ...bytes,
      createTime: this.context.now(),
      pinned: options.pinned ?? false,
      prompt,
      model,
      timestamp,
      category,
      tags: [...new Set(tags)],
      parametersJson,
      idempotencyKey: options.idempotencyKey ?? '',
      fingerprint: fingerprint(bytes.sha256, sent),
    };
  }

  #tooLarge(): StorageError {
    return new StorageError('IMAGE_TOO_LARGE', `an image may have at most ${this.context.limits.maxImageBytes} bytes`);
  }

  async get(filename: string, options: GetOptions = {}): Promise<StoredImage> {
    const offset = checkCount('offset', options.offset ?? 0);
    const limit = checkCount('limit', options.limit ?? 0);
    const record = await folded(this.catalog.find(filename));
    if (record === undefined) throw notFound();
    if (offset > record.size) {
      throw new StorageError('OFFSET_OUT_OF_RANGE', `the image has ${record.size} bytes`, { field: 'offset' });
    }
    const rest = record.size - offset;
    const length = limit === 0 ? rest : Math.min(limit, rest);
    return { item: await this.#item(record), body: this.#body(record, offset, length) };
  }

  async *#body(record: ImageRecord, offset: number, length: number): AsyncGenerator<Uint8Array> {
    const hash = length === record.size ? createHash('sha256') : undefined;
    for await (const chunk of this.readBytes(record, offset, length)) {
      hash?.update(chunk);
      yield chunk;
    }
    if (hash !== undefined && hash.digest('hex') !== record.sha256) {
      throw corrupt();
    }
  }

  async delete(filename: string): Promise<boolean> {
    const outcome = await this.#untilClosed(() => folded(this.remove(filename, false)));
    return outcome.done;
  }

  list(options: ListOptions = {}): Listing {
    const query = toQuery(options);
    const read = async (after: Resume | undefined, limit: number, maxBytes: number) => {
      const catalog = await folded(this.completeCatalog());
      const { records, more } = await folded(catalog.page(query, { ...(after && { after }), limit, maxBytes }));
      const locations = await Promise.all(records.map((record) => this.locate(record)));
      return { items: records.map((record, at) => itemOf(this, record, locations[at]!)), more };
    };
    return createListing(() => [{ provider: this.name, read }], options);
  }

  async cleanup(options: CleanupOptions): Promise<CleanupResult> {
    checkCleanup(options);
    const remove = async (filename: string) => (await this.remove(filename, true)).done;
    return this.#untilClosed(async () => {
      const catalog = await folded(this.currentCatalog());
      return folded(cleanUp(catalog, options, remove));
    });
  }

  async getStatistics(): Promise<ProviderStatistics> {
    const catalog = await folded(this.completeCatalog());
    const [{ oldest, newest, ...counts }, capacity] = await Promise.all([
      folded(catalog.statistics()),
      folded(this.capacity()),
    ]);
    return {
      provider: this.name,
      storageType: this.storageType,
      ...counts,
      ...(oldest !== undefined && { oldest: new Date(oldest) }),
      ...(newest !== undefined && { newest: new Date(newest) }),
      ...capacity,
    };
  }

  async *verify({ signal, ...options }: VerifyOptions): AsyncGenerator<VerifyEvent> {
    const run = <T>(work: () => Promise<T>): Promise<T> => {
      throwIfCancelled(signal);
      return this.#untilClosed(() => folded(work()));
    };
    const forget = async (filename: string) => (await this.remove(filename, false)).done;
    // A catalog that is being built is no reason not to look.
    const total = await this.#totals().catch(() => ({ images: 0, bytes: 0 }));
    yield* verifyEvents(this.name, this.check({ ...options, run }, forget), total);
  }

  async #totals(): Promise<{ images: number; bytes: number }> {
    const { count, bytes } = await (await this.completeCatalog()).statistics();
    return { images: count, bytes };
  }

  async *records(filter: ImageFilter): AsyncGenerator<ImageRecord> {
    yield* allRecords(await folded(this.currentCatalog()), toQuery({ ...filter, order: 'oldest' }));
  }

  async measure(filter: ImageFilter): Promise<{ images: number; bytes: number }> {
    return folded(measureRecords(await this.completeCatalog(), toQuery(filter)));
  }

  async storedState(filename: string): Promise<StoredState> {
    const record = await folded(this.catalog.find(filename));
    if (record !== undefined) return { state: 'live', record };
    return { state: (await folded(this.isDeleted(filename))) ? 'deleted' : 'absent' };
  }

  bytesOf(record: ImageRecord): AsyncIterable<Uint8Array> {
    return this.#body(record, 0, record.size);
  }

  copyIn(record: ImageRecord, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<boolean> {
    return this.#untilClosed(async () => {
      if (record.size > this.context.limits.maxImageBytes) throw this.#tooLarge();
      await folded(this.checkWritable(record.size));
      return this.#receiveCopy(record, chunksOf(bytes, signal));
    });
  }

  async #receiveCopy(record: ImageRecord, chunks: AsyncIterable<Uint8Array>): Promise<boolean> {
    const upload = await folded(this.openCopy(record.filename, record.size));
    if (upload === undefined) return false;
    try {
      const hash = createHash('sha256');
      for await (const chunk of chunks) {
        hash.update(chunk);
        await folded(upload.write(chunk));
      }
      if (hash.digest('hex') !== record.sha256) throw corrupt();
    } catch (error) {
      await upload.discard().catch(() => undefined);
      throw error;
    }
    return folded(upload.commit(record));
  }

  async #item(record: ImageRecord): Promise<StorageItem> {
    return itemOf(this, record, await this.locate(record));
  }
}

function corrupt(): StorageError {
  return new StorageError('BYTES_CORRUPT', 'the stored bytes are not those that were saved');
}

export function notFound(): StorageError {
  return new StorageError('IMAGE_NOT_FOUND', 'no image of that name', { field: 'filename' });
}

function closing(): StorageError {
  return new StorageError('BACKEND_UNAVAILABLE', 'the store is closing');
}

/** Folds the provider's own failures; what a caller's source throws stays as it is. */
async function folded<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw toStorageError(error);
  }
}
