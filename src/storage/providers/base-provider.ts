/** The common part of all providers: validation, lists, cleanup and statistics over a catalog, and an orderly close. */

import { turnOf } from '../async/fair-turn.ts';
import { Slots } from '../async/slots.ts';
import type { ChangeOutcome, ImageIndex } from '../catalog/catalog.ts';
import { THIS_PROCESS } from '../domain/caller.ts';
import { type CheckedChanges, MAX_TAGS } from '../domain/changes.ts';
import { folded, invalidField, StorageError, throwIfCancelled } from '../domain/errors.ts';
import { generationOf } from '../domain/generation.ts';
import type { ImageMetadata, StorageItem, StorageResult, StoredImage } from '../domain/image.ts';
import type { StoredState, VerifyEvent, VerifyOptions } from '../domain/maintenance.ts';
import type { ImageRecord, StoredRecord } from '../domain/record.ts';
import type {
  ByteSource,
  CleanupOptions,
  CleanupResult,
  DeleteOptions,
  Deletion,
  GetOptions,
  ImageChanges,
  ImageFilter,
  ImageQuery,
  ItemPage,
  ListOptions,
  ProviderHealth,
  ProviderStatistics,
  PurgeOptions,
  PurgeResult,
  Resume,
  SaveOptions,
  Totals,
  TotalsOptions,
  TrashOptions,
} from '../domain/requests.ts';
import {
  checkChanges,
  checkCount,
  checkDeclared,
  checkIdempotencyKey,
  checkImageSize,
  checkMetadata,
  checkTtl,
} from '../domain/validation.ts';
import { toCatalogQuery } from '../lists/catalog-query.ts';
import { itemOf, type Location, trashedItemOf } from '../lists/item.ts';
import { createListing, createTrashListing } from '../lists/listing.ts';
import { checkTotals } from '../lists/totals.ts';
import type { Checked, CheckOptions } from '../maintenance/maintenance.ts';
import { allRecords, measureRecords } from '../maintenance/records.ts';
import { searchFindings, verifyEvents } from '../maintenance/verify.ts';
import { checkCleanup, cleanUp } from '../retention/cleanup.ts';
import { purgeTrash } from '../retention/purge.ts';
import { bodyOf, CHUNK_BYTES, singleChunk } from '../transfer/body.ts';
import { receiveCopy, receiveImage } from '../transfer/receive.ts';
import type { CopyUpload, ImageList, Maintainable, ProviderContext, StorageProvider, Upload } from '../types.ts';

/** Bytes of an image that are read. */
export interface ByteRange {
  offset: number;
  length: number;
  /** As in GetOptions. */
  reuseMemory?: boolean;
}

/** How an image is removed. */
export interface RemoveOptions {
  /** A pinned image stays. */
  sparePinned: boolean;
  /** Past the trash. */
  permanent: boolean;
}

/** `bytesRemain`: the image is deleted, but its bytes are there. `purgeTime`: it is in the trash until then, ms since 1970. */
export type Removal = ChangeOutcome & { bytesRemain?: StorageError; purgeTime?: number };

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
    const { maxSaves: size, saveQueueMs: waitMs, leastBytesPerSecond } = context.limits;
    this.#slots = new Slots({ size, waitMs, leastBytesPerSecond });
  }

  abstract get health(): ProviderHealth;
  abstract readonly storeId: string;
  /**
   * Starts a close, before `close` waits for running calls: stops background work, and long calls, which then reject
   * with `reason`.
   */
  protected async beginClose(_reason: StorageError): Promise<void> {}
  /** Releases the root, once no call runs any more. */
  protected abstract release(): Promise<void>;

  /** The catalog, for lookups of one image. */
  protected abstract readonly catalog: Pick<ImageIndex, 'find'>;
  /** Returns the catalog, for reads over all images. Rejects with CATALOG_REBUILDING until it is complete. */
  protected abstract completeCatalog(): Promise<ImageIndex>;
  /** Returns the complete catalog, once it includes every save and delete of any process before the call. */
  protected currentCatalog(): Promise<ImageIndex> {
    return this.completeCatalog();
  }
  /** Throws when so many images are missing that nothing may be deleted by counting them. */
  protected checkCountable(): void {}
  /** Rejects when an image of this size cannot be written now (STORE_READ_ONLY, DISK_FULL, …). */
  protected abstract checkWritable(sizeBytes: number): Promise<void>;
  /** `expectedBytes` is the size that the caller declared. */
  protected abstract openUpload(filename: string, expectedBytes?: number): Promise<Upload>;
  /**
   * Yields exactly these bytes. Throws BYTES_MISSING or BYTES_CORRUPT, or IMAGE_NOT_FOUND when the image was deleted.
   */
  protected abstract readBytes(record: ImageRecord, range: ByteRange): AsyncIterable<Uint8Array>;
  /** The same for at most one chunk; unset where that is no faster. The caller may free its memory. */
  protected readAtOnce?(record: ImageRecord, range: ByteRange): Promise<Uint8Array>;
  /** Deletes a live image: into the trash, or for good. */
  protected abstract removeLive(filename: string, options: RemoveOptions): Promise<Removal>;
  /** Makes an image of the trash live. Rejects with BYTES_MISSING. */
  protected abstract bringBack(filename: string): Promise<ChangeOutcome>;
  /** Deletes an image of the trash for good. */
  protected abstract purgeTrashed(filename: string): Promise<Removal>;
  /** Returns until when an image could be brought back that is deleted now; undefined: it would be deleted for good. */
  protected abstract nextPurgeTime(now: number): Promise<number | undefined>;
  /** Changes the labels of an image; its record is then the one that `find` returns. */
  protected abstract change(filename: string, changes: CheckedChanges): Promise<ChangeOutcome>;
  /** Returns where callers fetch the bytes. */
  protected abstract locate(record: ImageRecord): Location | Promise<Location>;
  /** Returns the image of that name in the trash, or undefined. */
  protected abstract findTrashed(filename: string): Promise<ImageRecord | undefined>;
  /** Returns whether the filename belongs to an image that was deleted. */
  protected abstract isDeleted(filename: string): Promise<boolean>;
  /** Returns undefined when the filename is taken. */
  protected abstract openCopy(filename: string, expectedBytes: number): Promise<CopyUpload | undefined>;
  /** Checks each place of the store in turn. */
  protected abstract check(
    options: CheckOptions,
    forget: (filename: string) => Promise<boolean>,
  ): AsyncIterable<Checked>;
  protected abstract capacity(): Promise<{ capacityBytes?: number; freeBytes?: number }>;

  close(): Promise<void> {
    this.#closed ??= Promise.allSettled([this.beginClose(closing()), ...this.#running]).then(() => this.release());
    return this.#closed;
  }

  /** Runs work that `close` waits for. Rejects with BACKEND_UNAVAILABLE once `close` was called. */
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
    const { caller = THIS_PROCESS } = options;
    const checked = await checkMetadata(metadata, this.context.limits, () => turnOf(caller));
    const idempotencyKey = checkIdempotencyKey(options);
    checkDeclared(options);
    checkImageSize(options.size ?? 0, this.context.limits);
    checkTtl(options.ttlMs);
    const slot = await this.#slots.acquire(caller, options);
    try {
      await folded(this.checkWritable(options.size ?? 0));
      const receiver = { context: this.context, slot, openUpload: this.openUpload.bind(this) };
      const committed = await receiveImage(source, checked, { ...options, idempotencyKey }, receiver);
      committed.settled.then(slot.release, slot.release);
      const { record, replayed, deleted } = committed;
      if (deleted && options.unlessDeleted) throw deletedBefore();
      return { ...(await this.#item(record)), replayed, deleted };
    } catch (error) {
      slot.release();
      throw slot.signal.aborted ? slot.signal.reason : error;
    }
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
    const range = { offset, length, reuseMemory: options.reuseMemory };
    const body = bodyOf(record, this.readBytes(record, range), length);
    const located = this.locate(record);
    const item = itemOf(this, record, located instanceof Promise ? await located : located);
    if (this.readAtOnce === undefined || length === 0 || length > CHUNK_BYTES) return { item, body };
    return { item, body, atOnce: async () => singleChunk(record, await this.readAtOnce!(record, range)) };
  }

  update(filename: string, changes: ImageChanges): Promise<StorageItem> {
    return this.#untilClosed(() => this.#update(filename, changes));
  }

  async #update(filename: string, changes: ImageChanges): Promise<StorageItem> {
    const checked = checkChanges(changes);
    await folded(this.checkWritable(0));
    const outcome = await folded(this.change(filename, checked));
    if (outcome.done) return this.#item(outcome.record);
    if (outcome.why === 'too_many_tags') {
      throw invalidField('add_tags', `the image would have more than ${MAX_TAGS} tags`);
    }
    throw notFound();
  }

  async delete(filename: string, options?: DeleteOptions): Promise<boolean> {
    return (await this.remove(filename, options)).deleted;
  }

  async remove(filename: string, { permanent = false }: DeleteOptions = {}): Promise<Deletion> {
    return this.#untilClosed(() => folded(this.#remove(filename, { sparePinned: false, permanent })));
  }

  /** Rejects with BYTES_REMAIN when the bytes are still there. */
  async #remove(filename: string, options: RemoveOptions): Promise<Deletion> {
    const removal = await this.removeLive(filename, options);
    const isInTrash = !removal.done && options.permanent && !options.sparePinned;
    const { done, bytesRemain, purgeTime } = isInTrash ? await this.purgeTrashed(filename) : removal;
    if (bytesRemain !== undefined) throw bytesRemain;
    return { deleted: done, ...(purgeTime !== undefined && { restorableUntil: new Date(purgeTime) }) };
  }

  restore(filename: string): Promise<StorageItem> {
    return this.#untilClosed(async () => {
      const outcome = await folded(this.bringBack(filename));
      if (outcome.done) return this.#item(outcome.record);
      if (outcome.why !== 'not_deleted') throw notFound();
      throw new StorageError('NOT_DELETED', 'the image is not in the trash, but live', { field: 'filename' });
    });
  }

  listTrash(options: TrashOptions = {}): ImageList {
    return createTrashListing(() => [this], options, this.context.now);
  }

  async readTrash(query: string, after: Resume | undefined, limit: number, maxBytes: number): Promise<ItemPage> {
    const catalog = await folded(this.completeCatalog());
    const request = { ...(after && { after }), limit, maxBytes };
    const { records, more } = await folded(catalog.trashPage(query, request));
    const items = records.map(async (record) => trashedItemOf(this, record, await this.locate(record)));
    return { items: await Promise.all(items), more };
  }

  purge(options: PurgeOptions): Promise<PurgeResult> {
    const purge = (filename: string) => this.purgeTrashed(filename);
    return this.#untilClosed(async () => folded(purgeTrash(await this.completeCatalog(), options, purge)));
  }

  list(options: ListOptions = {}): ImageList {
    return createListing(() => [this], options, this.context.now);
  }

  async readPage(query: ImageQuery, after: Resume | undefined, limit: number, maxBytes: number): Promise<ItemPage> {
    const catalog = await folded(this.completeCatalog());
    const request = { ...(after && { after }), limit, maxBytes };
    const { records, more } = await folded(catalog.page(toCatalogQuery(query), request));
    const located = records.map((record) => this.locate(record));
    // A promise for each image would cost more than the rest of its item.
    const locations = located.every((location) => !(location instanceof Promise))
      ? located
      : await Promise.all(located);
    return { items: records.map((record, at) => itemOf(this, record, locations[at] as Location)), more };
  }

  async cleanup(options: CleanupOptions): Promise<CleanupResult> {
    const now = this.context.now();
    checkCleanup(options, now);
    const { permanent = false, dryRun } = options;
    return this.#untilClosed(async () => {
      const catalog = await folded(this.currentCatalog());
      this.checkCountable();
      let purgeTime = permanent ? undefined : await folded(this.nextPurgeTime(now));
      const remove = async (filename: string) => {
        const { deleted, restorableUntil } = await this.#remove(filename, { sparePinned: true, permanent });
        // The first to be purged tells until when all can be brought back.
        if (deleted && !dryRun) purgeTime = Math.min(purgeTime ?? 0, restorableUntil?.getTime() ?? 0);
        return deleted;
      };
      const result = await folded(cleanUp(catalog, options, now, remove));
      return { ...result, ...(purgeTime && { restorableUntil: new Date(purgeTime) }) };
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
      ...datesOf({ oldest, newest }),
      ...capacity,
    };
  }

  async totals(options: TotalsOptions = {}): Promise<Totals> {
    const { by, startsWith, timeZone, limit, ...filter } = checkTotals(options, new Date(this.context.now()));
    const catalog = await folded(this.completeCatalog());
    const grouping = { by, startsWith, timeZone, limit };
    const { oldest, newest, ...counts } = await folded(catalog.totals(toCatalogQuery(filter), grouping));
    return { ...counts, ...datesOf({ oldest, newest }) };
  }

  async *verify({ signal, ...options }: VerifyOptions): AsyncGenerator<VerifyEvent> {
    const run = <T>(work: () => Promise<T>): Promise<T> => {
      throwIfCancelled(signal);
      return this.#untilClosed(() => folded(work()));
    };
    const forget = async (filename: string) =>
      (await this.removeLive(filename, { sparePinned: false, permanent: true })).done;
    // Without totals while the catalog is rebuilt: verifying does not depend on it.
    const total = await this.#totals().catch(() => ({ images: 0, bytes: 0 }));
    yield* verifyEvents(this.name, this.#checked({ ...options, run }, forget), total);
  }

  async *#checked(options: CheckOptions, forget: (filename: string) => Promise<boolean>): AsyncGenerator<Checked> {
    yield* this.check(options, forget);
    const catalog = await this.completeCatalog().catch(() => undefined);
    if (catalog !== undefined) yield { findings: await options.run(() => searchFindings(catalog)) };
  }

  async #totals(): Promise<{ images: number; bytes: number }> {
    const { count, bytes } = await (await this.completeCatalog()).statistics();
    return { images: count, bytes };
  }

  async *records(filter: ImageFilter): AsyncGenerator<ImageRecord> {
    yield* allRecords(await folded(this.currentCatalog()), toCatalogQuery({ ...filter, order: 'oldest' }));
  }

  async measure(filter: ImageFilter): Promise<{ images: number; bytes: number }> {
    return folded(measureRecords(await this.completeCatalog(), toCatalogQuery(filter)));
  }

  async storedState(filename: string): Promise<StoredState> {
    const record = await folded(this.catalog.find(filename));
    if (record !== undefined) return { state: 'live', record };
    const trashed = await folded(this.findTrashed(filename));
    if (trashed !== undefined) return { state: 'trashed', record: trashed };
    return { state: (await folded(this.isDeleted(filename))) ? 'deleted' : 'absent' };
  }

  bytesOf(record: ImageRecord): AsyncIterable<Uint8Array> {
    return bodyOf(record, this.readBytes(record, { offset: 0, length: record.size }), record.size);
  }

  copyIn(record: ImageRecord, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<boolean> {
    return this.#untilClosed(async () => {
      checkImageSize(record.size, this.context.limits);
      await folded(this.checkWritable(record.size));
      return receiveCopy(record, bytes, signal, this.openCopy.bind(this));
    });
  }

  async #item(record: ImageRecord): Promise<StorageItem> {
    const generation = generationOf(record);
    const stored: StoredRecord = { ...record, ...(generation && { generation }) };
    return itemOf(this, stored, await this.locate(record));
  }
}

export function notFound(): StorageError {
  return new StorageError('IMAGE_NOT_FOUND', 'no image of that name', { field: 'filename' });
}

function datesOf({ oldest, newest }: { oldest?: number | undefined; newest?: number | undefined }) {
  return {
    ...(oldest !== undefined && { oldest: new Date(oldest) }),
    ...(newest !== undefined && { newest: new Date(newest) }),
  };
}

function deletedBefore(): StorageError {
  return new StorageError('DELETED_BEFORE', 'the image of this key was saved, and deleted since');
}

function closing(): StorageError {
  return new StorageError('BACKEND_UNAVAILABLE', 'the store is closing');
}
