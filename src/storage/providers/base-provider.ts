/** The common part of all providers: validation, lists, cleanup and statistics over a catalog, and an orderly close. */

import { turnOf } from '../async/fair-turn.ts';
import { Slots } from '../async/slots.ts';
import type { ChangeOutcome, ImageIndex } from '../catalog/catalog.ts';
import { emptyPreviews } from '../disk/preview-files.ts';
import { THIS_PROCESS } from '../domain/caller.ts';
import { type CheckedChanges, MAX_TAGS } from '../domain/changes.ts';
import type { DiskLimits } from '../domain/config.ts';
import { folded, invalidField, StorageError, throwIfCancelled, toStorageError } from '../domain/errors.ts';
import type { ImageMetadata, StorageItem, StorageResult, StoredImage } from '../domain/image.ts';
import type { StoredState, VerifyEvent, VerifyOptions } from '../domain/maintenance.ts';
import type { SaveLoad } from '../domain/meter.ts';
import type { PreviewFolder, ThumbHashNote } from '../domain/preview.ts';
import type { ImageRecord, StoredRecord, TrashedRecord } from '../domain/record.ts';
import type {
  ByteSource,
  CleanupOptions,
  CleanupResult,
  DeleteOptions,
  Deletion,
  GetOptions,
  ImageChanges,
  ProviderHealth,
  ProviderStatistics,
  PurgeOptions,
  PurgeResult,
  SaveOptions,
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
import { itemOf, trashedItemOf } from '../lists/item.ts';
import type { Checked, CheckOptions } from '../maintenance/maintenance.ts';
import { searchFindings, verifyEvents } from '../maintenance/verify.ts';
import { createGuard, type DiskGuard } from '../retention/disk-guard.ts';
import { fileInMemory, type TextFile } from '../retention/policy-runs.ts';
import { purgeTrash } from '../retention/purge.ts';
import { type RetainedStore, Retention } from '../retention/retention.ts';
import { bodyOf, CHUNK_BYTES, singleChunk } from '../transfer/body.ts';
import { countedCopy, countedUpload, type UploadCounter } from '../transfer/counted-upload.ts';
import { receiveCopy, receiveImage } from '../transfer/receive.ts';
import type { CopyUpload, Maintainable, ProviderContext, StorageProvider, Upload } from '../types.ts';
import { datesOf, ListedProvider } from './listed-provider.ts';
import type { ByteRange, Removal, RemoveOptions } from './store-calls.ts';

export abstract class BaseProvider extends ListedProvider implements StorageProvider, Maintainable {
  readonly #slots: Slots;
  readonly #retention: Retention;
  readonly #running = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(context: ProviderContext) {
    super(context);
    const { maxSaves: size, saveQueueMs: waitMs, leastBytesPerSecond } = context.limits;
    this.#slots = new Slots({ size, waitMs, leastBytesPerSecond });
    this.#retention = new Retention(this.#retained());
    context.meter?.watch(() => this.saveLoad);
  }

  protected get saveLoad(): SaveLoad {
    return { inFlight: this.#slots.held, waiting: this.#slots.waiting };
  }

  #retained(): RetainedStore {
    return {
      context: this.context,
      policyRuns: () => this.policyRuns,
      completeCatalog: () => this.completeCatalog(),
      currentCatalog: () => this.currentCatalog(),
      checkCountable: () => this.checkCountable(),
      nextPurgeTime: (now) => this.nextPurgeTime(now),
      remove: (filename, options) => this.#remove(filename, { sparePinned: true, ...options }),
      checkClock: () => this.checkClock(),
      claimRun: (policy, everyMs) => this.claimRun(policy, everyMs),
    };
  }

  abstract get health(): ProviderHealth;
  abstract readonly storeId: string;
  abstract readonly previewFolder: PreviewFolder;
  /**
   * Starts a close, before `close` waits for running calls: stops background work, and long calls, which then reject
   * with `reason`.
   */
  protected async beginClose(_reason: StorageError): Promise<void> {}
  /** Releases the root, once no call runs any more. */
  protected abstract release(): Promise<void>;

  /** The catalog, for lookups of one image. */
  protected abstract readonly catalog: Pick<ImageIndex, 'find'>;
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
  /** Returns the image of that name in the trash, or undefined. */
  protected abstract findTrashed(filename: string): Promise<TrashedRecord | undefined>;
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
  /** Keeps the store below its limits; unset: it has none. */
  protected readonly guard: DiskGuard | undefined;
  /** Where the runs of policies are kept; default: in memory. */
  protected readonly policyRuns: TextFile = fileInMemory();
  /** Rejects where the clock of this machine cannot be right. */
  protected async checkClock(): Promise<void> {}
  /** Returns whether this process may run a policy now: no other with this store has within the time. */
  protected async claimRun(_policy: string, _everyMs: number): Promise<boolean> {
    return true;
  }

  /** Removes all previews: other files need the room. */
  protected async emptyPreviews(): Promise<unknown> {
    return emptyPreviews(this.previewFolder.path);
  }

  /** Returns a guard for these limits. */
  protected guardOf(limits: DiskLimits, freeBytes: () => Promise<number>): DiskGuard | undefined {
    return createGuard(limits, {
      context: this.context,
      freeBytes,
      emptyPreviews: () => this.emptyPreviews(),
      catalog: () => this.completeCatalog(),
      purge: (filename) => this.purgeTrashed(filename),
      evict: (filename) => this.removeLive(filename, { sparePinned: true, permanent: true }),
    });
  }

  close(): Promise<void> {
    const ends = () => [this.beginClose(closing()), this.#retention.stop(), ...this.#running];
    this.#closed ??= Promise.allSettled(ends()).then(() => this.release());
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
    const { meter } = this.context;
    const asked = performance.now();
    const slot = await this.#slots.acquire(caller, options);
    meter?.stage('wait', performance.now() - asked);
    try {
      await folded(this.checkWritable(options.size ?? 0));
      const committed = await this.#withRoom(options.size, (counter) => {
        const openUpload = async (...upload: [string, number?]) =>
          countedUpload(await this.openUpload(...upload), counter);
        const checkBytes = (sha256: string) => this.#refuseDeleted(sha256);
        const receiver = { context: this.context, slot, openUpload, ...(options.unlessDeleted && { checkBytes }) };
        return receiveImage(source, checked, { ...options, idempotencyKey }, receiver);
      });
      committed.settled.then(slot.release, slot.release);
      const { record, replayed, deleted } = committed;
      if (deleted && options.unlessDeleted) throw deletedBefore();
      return { ...(await this.item(record)), replayed, deleted };
    } catch (error) {
      slot.release();
      throw slot.signal.aborted ? slot.signal.reason : error;
    }
  }

  /** While the catalog is filled it cannot be known, and the caller is to come again. */
  async #refuseDeleted(sha256: string): Promise<void> {
    const catalog = await folded(this.completeCatalog());
    if (!(await folded(catalog.wasDeleted(sha256)))) return;
    const equal = { query: `sha256:${sha256}`, order: 'newest' } as const;
    const { records } = await folded(catalog.page(equal, { limit: 1, maxBytes: 0, view: 'row' }));
    if (records.length === 0) throw deletedBefore();
  }

  /** Runs work that stores an image, once there is room for it. */
  async #withRoom<T extends { replayed: boolean }>(
    size: number | undefined,
    work: (counter: UploadCounter | undefined) => Promise<T>,
  ): Promise<T> {
    if (this.guard === undefined) return work(undefined);
    const reservation = await folded(this.guard.reserve(size));
    let mayBeStored = false;
    try {
      const stored = await work(reservation);
      mayBeStored = !stored.replayed;
      return stored;
    } catch (error) {
      mayBeStored = toStorageError(error).outcomeUnknown;
      throw error;
    } finally {
      reservation.end(mayBeStored);
    }
  }

  async get(filename: string, options: GetOptions = {}): Promise<StoredImage> {
    const offset = checkCount('offset', options.offset ?? 0);
    const limit = checkCount('limit', options.limit ?? 0);
    const { trashed, reuseMemory } = options;
    const found = trashed ? this.findTrashed(filename) : this.catalog.find(filename);
    const record = await folded<StoredRecord | TrashedRecord | undefined>(found);
    if (record === undefined) throw notFound();
    if (offset > record.size) {
      throw new StorageError('OFFSET_OUT_OF_RANGE', `the image has ${record.size} bytes`, { field: 'offset' });
    }
    const rest = record.size - offset;
    const length = limit === 0 ? rest : Math.min(limit, rest);
    const range = { offset, length, reuseMemory, trashed };
    const onSent = this.context.meter?.sent;
    const body = bodyOf(record, this.readBytes(record, range), length, onSent);
    const located = this.locate(record);
    const location = located instanceof Promise ? await located : located;
    const item = isTrashed(record) ? trashedItemOf(this, record, location) : itemOf(this, record, location);
    if (this.readAtOnce === undefined || length === 0 || length > CHUNK_BYTES) return { item, body };
    const atOnce = async () => singleChunk(record, await this.readAtOnce!(record, range), onSent);
    return { item, body, atOnce };
  }

  async setThumbHashes(notes: readonly ThumbHashNote[]): Promise<void> {
    const hashes = notes.map(({ filename, thumbHash = [] }) => ({
      filename,
      thumbHash: Buffer.from(thumbHash).toString('base64'),
    }));
    return this.#untilClosed(async () => folded((await this.completeCatalog()).setThumbHashes(hashes)));
  }

  update(filename: string, changes: ImageChanges): Promise<StorageItem> {
    return this.#untilClosed(() => this.#update(filename, changes));
  }

  async #update(filename: string, changes: ImageChanges): Promise<StorageItem> {
    const checked = checkChanges(changes);
    await folded(this.checkWritable(0));
    const outcome = await folded(this.change(filename, checked));
    if (outcome.done) return this.item(outcome.record);
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
    const purged = isInTrash ? await this.purgeTrashed(filename) : removal;
    // It may have been restored between the two.
    const { done, bytesRemain, purgeTime } =
      purged.done || !isInTrash ? purged : await this.removeLive(filename, options);
    if (bytesRemain !== undefined) throw bytesRemain;
    return { deleted: done, ...(done && purgeTime !== undefined && { restorableUntil: new Date(purgeTime) }) };
  }

  restore(filename: string): Promise<StorageItem> {
    return this.#untilClosed(async () => {
      const outcome = await folded(this.bringBack(filename));
      if (outcome.done) return this.item(outcome.record);
      if (outcome.why !== 'not_deleted') throw notFound();
      throw new StorageError('NOT_DELETED', 'the image is not in the trash, but live', { field: 'filename' });
    });
  }

  purge(options: PurgeOptions): Promise<PurgeResult> {
    const purge = (filename: string) => this.purgeTrashed(filename);
    return this.#untilClosed(() => folded(purgeTrash(() => this.completeCatalog(), options, purge)));
  }

  async cleanup(options: CleanupOptions): Promise<CleanupResult> {
    return this.#untilClosed(this.#retention.cleanup(options));
  }

  async getStatistics(): Promise<ProviderStatistics> {
    const catalog = await folded(this.completeCatalog());
    const [{ oldest, newest, ...counts }, capacity, policies] = await Promise.all([
      folded(catalog.statistics()),
      folded(this.capacity()),
      this.#retention.statistics(),
    ]);
    return {
      provider: this.name,
      storageType: this.storageType,
      ...counts,
      ...datesOf({ oldest, newest }),
      ...capacity,
      policies,
    };
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
      const { isNew } = await this.#withRoom(record.size, async (counter) => {
        const openCopy = async (...copy: [string, number]) => {
          const upload = await this.openCopy(...copy);
          return upload && countedCopy(upload, counter);
        };
        const isNew = await receiveCopy(record, bytes, signal, openCopy);
        return { isNew, replayed: !isNew };
      });
      return isNew;
    });
  }
}

function isTrashed(record: StoredRecord | TrashedRecord): record is TrashedRecord {
  return 'purgeTime' in record;
}

export function notFound(): StorageError {
  return new StorageError('IMAGE_NOT_FOUND', 'no image of that name', { field: 'filename' });
}

function deletedBefore(): StorageError {
  return new StorageError('DELETED_BEFORE', 'an image of these bytes, or of this key, was saved, and deleted since');
}

function closing(): StorageError {
  return new StorageError('BACKEND_UNAVAILABLE', 'the store is closing');
}
