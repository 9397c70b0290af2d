/** The contracts of the library: a provider, the storage over all providers, and the types that callers use. */

import type { StorageLimits } from './domain/config.ts';
import type { ImageMetadata, StorageItem, StorageResult, StoredImage } from './domain/image.ts';
import type { OnLocked } from './domain/lock-holder.ts';
import type { Logger } from './domain/logger.ts';
import type { CopyEvent, CopyOptions, StoredState, VerifyEvent, VerifyOptions } from './domain/maintenance.ts';
import type { Meter } from './domain/meter.ts';
import type { Policy } from './domain/policy.ts';
import type { PreviewFolder, PreviewSource, ThumbHashNote } from './domain/preview.ts';
import type { ImageRecord } from './domain/record.ts';
import type {
  ByteBatch,
  ByteSource,
  CleanupOptions,
  CleanupResult,
  DeleteOptions,
  Deletion,
  GetOptions,
  Hint,
  ImageChanges,
  ImageFilter,
  ImageQuery,
  Instant,
  ItemPage,
  ListOptions,
  Page,
  ProviderHealth,
  ProviderStatistics,
  PurgeOptions,
  PurgeResult,
  Resume,
  SaveOptions,
  Totals,
  TotalsOptions,
  TrashOptions,
} from './domain/requests.ts';

export * from './domain/config.ts';
export * from './domain/image.ts';
export * from './domain/logger.ts';
export * from './domain/requests.ts';

/**
 * A list of images: await it for all items, iterate it item by item, or read it page by page. Reads nothing before its
 * first use, and starts anew on every use. Fails on use with FIELD_INVALID, PAGE_TOKEN_INVALID, PROVIDER_NOT_FOUND or
 * CATALOG_REBUILDING.
 */
export interface ImageList extends PromiseLike<StorageItem[]>, AsyncIterable<StorageItem> {
  /** Yields pages of at least one item each. */
  pages(): AsyncIterable<Page>;
}

/** Reads the images of one provider in pages; a list merges the pages of one or several readers. */
export interface PageReader {
  readonly name: string;
  /**
   * Returns the next items after `after` (unset: from the start), at most `limit`. Stops before the item that would
   * exceed `maxBytes` of metadata, but returns at least one item unless none is left. Rejects with CATALOG_REBUILDING.
   */
  readPage(query: ImageQuery, after: Resume | undefined, limit: number, maxBytes: number): Promise<ItemPage>;
}

/** The operations of a provider that verify and copy use, beyond its contract to callers. */
export interface Maintainable {
  readonly name: string;
  /** The id of the store; equal for two providers only when they show the same store, or copies of one. */
  readonly storeId: string;

  /** Verifies this provider, as `Storage.verify`. */
  verify(options: VerifyOptions): AsyncIterable<VerifyEvent>;
  /** Yields the records of all images that match, oldest first. Throws CATALOG_REBUILDING. */
  records(filter: ImageFilter): AsyncIterable<ImageRecord>;
  /** Returns the number and the total size of all images that match. Rejects with CATALOG_REBUILDING. */
  measure(filter: ImageFilter): Promise<{ images: number; bytes: number }>;
  /** Returns what the store holds under this filename. */
  storedState(filename: string): Promise<StoredState>;
  /**
   * Yields all bytes of the image. Throws BYTES_MISSING, IMAGE_NOT_FOUND when the image was deleted, or BYTES_CORRUPT
   * when the file cannot be read or, after the last byte, when the bytes are not those of the record.
   */
  bytesOf(record: ImageRecord): AsyncIterable<Uint8Array>;
  /**
   * Stores the image of another store under the same filename, with the same record. Returns false when the filename is
   * taken. Once this resolves, the image is as durable and visible as a saved one. A failure may leave bytes that the
   * next attempt reuses; errors of `bytes` are passed on unchanged.
   */
  copyIn(record: ImageRecord, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<boolean>;
  /** Deletes an image that was copied away, as `StorageProvider.delete`. */
  delete(filename: string, options?: DeleteOptions): Promise<boolean>;
  /** As `StorageProvider.restore`. */
  restore(filename: string): Promise<StorageItem>;
}

/** What a previewer uses of a provider, beyond its contract to callers. */
export interface Previewed {
  readonly previewFolder: PreviewFolder;
  /**
   * Returns some of the images without a ThumbHash that came before this place (as an earlier call returned it, or the
   * largest number there is), the newest first, at most `limit`; it may be none although there are more, and 0 is the last
   * place. Unset where to read images costs.
   */
  unhashed?(before: number, limit: number): Promise<{ images: PreviewSource[]; before: number }>;
  /** Notes ThumbHashes; passes over images that are gone. They survive no power cut, and are no part of records. */
  setThumbHashes(notes: readonly ThumbHashNote[]): Promise<void>;
}

/**
 * A provider: stores images under one root (a directory, a bucket).
 *
 * Guarantees of every provider: an image exists if and only if its save was committed. `save` resolves only when bytes
 * and metadata are on stable storage and visible; when it rejects, nothing was stored, unless the error has
 * `outcomeUnknown`. A filename is never reused and its bytes never change. Every failure is a StorageError.
 */
export interface StorageProvider extends PageReader, Maintainable, Previewed {
  /** The provider's key in the configuration. */
  readonly name: string;
  /** The provider's type: `local`, `s3`, … */
  readonly storageType: string;
  readonly health: ProviderHealth;

  /**
   * Stores one image. Returns the first result when the idempotency key was used for the same image before. Rejects
   * with an error of code `invalid_argument` for unacceptable input, with IDEMPOTENCY_KEY_REUSED when the key was used
   * for another image, with DELETED_BEFORE where that is asked for, or with TOO_MANY_SAVES, DISK_FULL, STORE_READ_ONLY, STORE_REPLACED, BACKEND_AUTH,
   * BACKEND_UNAVAILABLE or CANCELLED.
   */
  save(source: ByteSource, metadata: ImageMetadata, options?: SaveOptions): Promise<StorageResult>;
  /**
   * Returns the image's item and its bytes, or a range of them. Rejects with IMAGE_NOT_FOUND, OFFSET_OUT_OF_RANGE or
   * STORE_REPLACED.
   */
  get(filename: string, options?: GetOptions): Promise<StoredImage>;
  /**
   * Changes the pin, the tags and the category of an image. Returns the image as it is then; one that had them already is
   * not changed. Its idempotency key keeps its fingerprint. Rejects with IMAGE_NOT_FOUND or FIELD_INVALID, or with
   * DISK_FULL, STORE_READ_ONLY, STORE_REPLACED, BACKEND_AUTH or BACKEND_UNAVAILABLE.
   */
  update(filename: string, changes: ImageChanges): Promise<StorageItem>;
  /** Deletes an image, as `remove`. Returns true when this call deleted it, false when there was none. */
  delete(filename: string, options?: DeleteOptions): Promise<boolean>;
  /**
   * Deletes an image: it goes into the trash, where the store has one, or for good. Nothing but `restore` makes it visible
   * again. An image in the trash is none for it, unless `permanent`. Rejects with BYTES_REMAIN when the image is never
   * visible again, but the store refuses to remove its bytes, as a bucket with Object Lock does.
   */
  remove(filename: string, options?: DeleteOptions): Promise<Deletion>;
  /**
   * Brings an image back from the trash, under its filename, with its pin, tags, idempotency key and times; its expire
   * time goes. Rejects with IMAGE_NOT_FOUND, NOT_DELETED or BYTES_MISSING, and as a save does.
   */
  restore(filename: string): Promise<StorageItem>;
  /** Lists the images in the trash, the last deleted first. Rejects as `list` does. */
  listTrash(options?: TrashOptions): ImageList;
  /** Reads the trash as `readPage` does. */
  readTrash(query: string, after: Resume | undefined, limit: number, maxBytes: number): Promise<ItemPage>;
  /** Deletes images of the trash for good, those that it has; of all a thousand at once. Rejects as `remove` does. */
  purge(options: PurgeOptions): Promise<PurgeResult>;
  /** Lists the images that match, newest first by default. Rejects with CATALOG_REBUILDING or STORE_REPLACED. */
  list(options?: ListOptions): ImageList;
  /**
   * Deletes the images that match the filters and that neither a criterion nor a pin protects, oldest first; by a policy
   * none that came less than a day ago. Rejects with CLEANUP_WITHOUT_CRITERION, FIELD_INVALID, POLICY_NOT_FOUND or
   * CATALOG_REBUILDING; an error after the first delete has `outcomeUnknown`.
   */
  cleanup(options: CleanupOptions): Promise<CleanupResult>;
  /** Returns counts and sizes of all images, in total and by group. Rejects as `list` does. */
  getStatistics(): Promise<ProviderStatistics>;
  /**
   * Counts the images that match, in total and by group: in constant time where there are no filters and for groups by
   * model, category, tag, LoRA, day or month, else within 100 ms of work, of the newest images where these do not suffice.
   * Rejects as `list` does.
   */
  totals(options?: TotalsOptions): Promise<Totals>;
  /** Waits for running calls, then releases the root. Later writes reject with BACKEND_UNAVAILABLE. Idempotent. */
  close(): Promise<void>;
}

/**
 * The destination of an image's bytes in a provider. The caller converts the errors of each method to StorageErrors.
 */
export interface IncomingBytes {
  /** Writes all chunks. The caller may reuse their memory once this resolves, and only then write again. */
  write(chunks: ByteBatch): Promise<void>;
  /** Removes everything that was written. Requires that `commit` was not called. */
  discard(): Promise<void>;
}

/** The upload of one save. */
export interface Upload extends IncomingBytes {
  /** The filename of the image, unless `commit` is given another or finds it taken. */
  readonly filename: string;
  /** Returns up to `lengthBytes` of what was written, at that position; fewer at its end. */
  readAt(position: number, lengthBytes: number): Promise<Buffer>;
  /**
   * Commits the image, under another short id when the filename is taken, or returns the earlier image when the
   * idempotency key was used for the same one. Rejects with IDEMPOTENCY_KEY_REUSED, or with CANCELLED when the signal
   * fires before the commit has begun. A failure leaves nothing behind, unless the error has `outcomeUnknown`. `isDated`:
   * the caller sent the timestamp, and sends it again with a retry.
   */
  commit(record: ImageRecord, signal?: AbortSignal, isDated?: boolean): Promise<Committed>;
}

/** The result of a commit. */
export interface Committed {
  /** The stored record: the new one, or the one that used the idempotency key first. */
  record: ImageRecord;
  /** True when the idempotency key was used before. */
  replayed: boolean;
  /** True when replayed, and the image was deleted since. */
  deleted: boolean;
  /** Resolves when the save no longer needs its slot. */
  settled: Promise<void>;
}

/** The upload of an image from another store, which keeps its filename. */
export interface CopyUpload extends IncomingBytes {
  /** Commits the image. Returns false when the filename is taken. */
  commit(record: ImageRecord): Promise<boolean>;
}

/** What a provider is opened with besides its own settings. */
export interface ProviderContext {
  name: string;
  /** Prefix of local URLs; empty: the path alone, `/outputs/…`. */
  publicUrl: string;
  limits: StorageLimits;
  log: Logger;
  /** Counts what the provider does; default: nobody. */
  meter?: Meter;
  /** Returns the current time in ms since 1970. */
  now: () => number;
  /** Returns the time that has passed, in ms from any origin; it never jumps. Default: that of the process. */
  elapsed?: () => number;
  /** The retention policies that apply to this provider; default none. */
  policies?: readonly Policy[];
  /** Returns a new short id: 6 characters of `[0-9a-z]`. */
  shortId: () => string;
  /** Called when the store must not continue; the daemon exits with 74. */
  onFatal: (error: Error) => void;
  /** Called with the place of a store that did not exist before. */
  onNewStore?: (place: string) => void;
  /** Default: waits. */
  onLocked?: OnLocked;
  /** Called with the name of each step of the store's protocol; crash tests end the process here. */
  failpoint: (step: string) => void;
  /** Rebuilds the catalog from the records, even when it is sound; default false. */
  rebuildCatalog?: boolean;
  /**
   * `upgrade`: a bucket that others use gets a trash, too · `downgrade`: a store whose trash is empty is left to versions
   * without one when it closes · `migrate`: the index of a bucket goes to Postgres, `migrateBack`: away from it, both when
   * the provider closes. Requires that no other daemon uses it.
   */
  formatChange?: 'upgrade' | 'downgrade' | 'migrate' | 'migrateBack';
  /** Fires when no caller waits for the provider to open any more; the attempt should then fail soon. */
  signal?: AbortSignal;
  /** How long `close` waits for requests to a bucket, in ms; default 60,000. The next start settles those it aborts. */
  closeGraceMs?: number;
  /**
   * SQLite's `synchronous`; default `FULL`. `NORMAL` loses acknowledged saves in a power cut, by which the power-cut
   * test proves that it detects a loss.
   */
  synchronous?: 'FULL' | 'NORMAL';
  /**
   * The size in bytes from which on the catalog of a local store is looked through behind the calls after an unclean stop;
   * default 64 MiB.
   */
  checkLaterAbove?: number;
}

/**
 * Selects the provider of a call, by name or alias. Unset or empty: the default provider. `*`: all providers, for
 * `list`, `listTrash`, `cleanup`, `getStatistics`, `totals`, `hints` and `verify`.
 */
export interface ProviderChoice {
  provider?: string;
}

/**
 * All providers of a configuration. A call goes to the selected provider and has its contract. A call also fails with
 * PROVIDER_NOT_FOUND for an unknown name, and with BACKEND_AUTH or BACKEND_UNAVAILABLE while the provider is not open.
 */
export interface Storage {
  save(source: ByteSource, metadata: ImageMetadata, options?: SaveOptions & ProviderChoice): Promise<StorageResult>;
  get(filename: string, options?: GetOptions & ProviderChoice): Promise<StoredImage>;
  update(filename: string, changes: ImageChanges, options?: ProviderChoice): Promise<StorageItem>;
  delete(filename: string, options?: DeleteOptions & ProviderChoice): Promise<boolean>;
  remove(filename: string, options?: DeleteOptions & ProviderChoice): Promise<Deletion>;
  restore(filename: string, options?: ProviderChoice): Promise<StorageItem>;
  listTrash(options?: TrashOptions & ProviderChoice): ImageList;
  purge(options: PurgeOptions & ProviderChoice): Promise<PurgeResult>;
  list(options?: ListOptions<Instant> & ProviderChoice): ImageList;
  /** With `*` or a policy, deletes nothing unless every provider of it serves. */
  cleanup(options: CleanupOptions<Instant> & ProviderChoice): Promise<CleanupResult>;
  /** Returns one entry for each selected provider. */
  getStatistics(provider?: string): Promise<ProviderStatistics[]>;
  /** With `*`, counts the images of all providers together. */
  totals(options?: TotalsOptions<Instant> & ProviderChoice): Promise<Totals>;
  /**
   * Returns what there is in place of each model, category and tag of the filters, the fields of a query among them, that
   * no image has; for callers whose list was empty.
   */
  hints(filter: Pick<ImageFilter, 'model' | 'category' | 'tags' | 'query'> & ProviderChoice): Promise<Hint[]>;
  /**
   * Compares records and bytes; yields the summary last. Throws when a store cannot be reached, or is not the one that
   * was opened; it then repairs and forgets nothing.
   */
  verify(options?: VerifyOptions & ProviderChoice): AsyncIterable<VerifyEvent>;
  /**
   * Copies images unchanged, under the same filenames, and skips those that the target has; yields the summary last.
   */
  copy(options: CopyOptions & { from: string; to: string }): AsyncIterable<CopyEvent>;
  /** Returns what a previewer uses of the selected provider. */
  previewed(provider?: string): Previewed;
  /** Returns the id of the provider's store, which stays. */
  storeId(choice?: ProviderChoice): string;
  /** Returns the health of each provider, by name. */
  health(): Record<string, ProviderHealth>;
  close(): Promise<void>;
}
