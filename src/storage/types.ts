/** The contracts of the library, a storage and a provider, with the nouns that callers meet. */

import type { StorageLimits } from './domain/config.ts';
import type { ImageMetadata, StorageItem, StorageResult, StoredImage } from './domain/image.ts';
import type { Logger } from './domain/logger.ts';
import type { CopyEvent, CopyOptions, StoredState, VerifyEvent, VerifyOptions } from './domain/maintenance.ts';
import type { ImageRecord } from './domain/record.ts';
import type {
  ByteSource,
  CleanupOptions,
  CleanupResult,
  GetOptions,
  ImageFilter,
  ImageQuery,
  Instant,
  ItemPage,
  ListOptions,
  Page,
  ProviderHealth,
  ProviderStatistics,
  Resume,
  SaveOptions,
} from './domain/requests.ts';

export * from './domain/config.ts';
export * from './domain/image.ts';
export * from './domain/logger.ts';
export * from './domain/requests.ts';

/** A list that is awaited for all items, iterated item by item, or read page by page. Nothing is read before. */
export interface ImageList extends PromiseLike<StorageItem[]>, AsyncIterable<StorageItem> {
  /** Pages with at least one item each. */
  pages(): AsyncIterable<Page>;
}

/** Reads the images of one provider in pages, of which lists over one or several are made. */
export interface PageReader {
  readonly name: string;
  /**
   * Returns the next items behind `after`, `limit` at most. Stops before the item that would exceed `maxBytes` of metadata,
   * but returns at least one unless nothing is left. Throws CATALOG_REBUILDING.
   */
  readPage(query: ImageQuery, after: Resume | undefined, limit: number, maxBytes: number): Promise<ItemPage>;
}

/** What maintenance asks of a provider, beyond its contract to callers. */
export interface Maintainable {
  readonly name: string;
  /** Equal for two providers only where they show the same store, or copies of one. */
  readonly storeId: string;

  verify(options: VerifyOptions): AsyncIterable<VerifyEvent>;
  /** Oldest first. CATALOG_REBUILDING. */
  records(filter: ImageFilter): AsyncIterable<ImageRecord>;
  /** Of all that match. */
  measure(filter: ImageFilter): Promise<{ images: number; bytes: number }>;
  storedState(filename: string): Promise<StoredState>;
  /** All bytes of the image. BYTES_MISSING; BYTES_CORRUPT where they cannot be read, or at the end are not the record's. */
  bytesOf(record: ImageRecord): AsyncIterable<Uint8Array>;
  /**
   * Stores the image of another store under the same filename, with the same record. False when the name is not free any
   * more. Afterwards it is as durable and visible as a saved one. A failure may leave bytes that another attempt uses;
   * what the source throws is passed on.
   */
  copyIn(record: ImageRecord, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<boolean>;
  delete(filename: string): Promise<boolean>;
}

/**
 * Keeps images under one root (a directory, a bucket).
 *
 * Promises, whatever the provider: an image exists if and only if it was committed. `save` resolves only when bytes and
 * metadata are on stable storage and visible; when it rejects nothing was kept, unless the error has `outcomeUnknown`.
 * A filename is never reused and its bytes never change. All failures are StorageErrors.
 */
export interface StorageProvider extends PageReader, Maintainable {
  /** The key in the configuration. */
  readonly name: string;
  /** `local`, `s3`, … */
  readonly storageType: string;
  readonly health: ProviderHealth;

  save(source: ByteSource, metadata: ImageMetadata, options?: SaveOptions): Promise<StorageResult>;
  /** IMAGE_NOT_FOUND, OFFSET_OUT_OF_RANGE. */
  get(filename: string, options?: GetOptions): Promise<StoredImage>;
  /** True when this call deleted it, false when it was not there. Once true the image is never seen again. */
  delete(filename: string): Promise<boolean>;
  list(options?: ListOptions): ImageList;
  cleanup(options: CleanupOptions): Promise<CleanupResult>;
  getStatistics(): Promise<ProviderStatistics>;
  /** Lets what runs finish, then frees the root. Idempotent. */
  close(): Promise<void>;
}

/** The bytes of an image on their way into a provider. Every method's failure is folded by the caller. */
export interface IncomingBytes {
  /** Takes the whole chunk; it may be reused once this resolves. */
  write(chunk: Uint8Array): Promise<void>;
  /** Leaves nothing behind. Only before `commit`. */
  discard(): Promise<void>;
}

/** One save. */
export interface Upload extends IncomingBytes {
  /** The name the image gets, unless `commit` finds it taken. */
  readonly filename: string;
  /**
   * Makes the image exist, under another short id if the filename is taken, or finds that its idempotency key was used.
   * CANCELLED when the signal fires before the commit has begun.
   * On failure nothing is left behind, unless the error has `outcomeUnknown`.
   */
  commit(record: ImageRecord, signal?: AbortSignal): Promise<Committed>;
}

export interface Committed {
  /** The stored record: ours, or the one that had the idempotency key first. */
  record: ImageRecord;
  replayed: boolean;
  /** Resolves when the save needs its slot no longer. */
  settled: Promise<void>;
}

/** An image of another store, under the name that it has there. */
export interface CopyUpload extends IncomingBytes {
  /** False when the name is not free. */
  commit(record: ImageRecord): Promise<boolean>;
}

/** What a provider is built with besides its own settings. */
export interface ProviderContext {
  name: string;
  /** Prefix of local URLs; empty means `/outputs/…` alone. */
  publicUrl: string;
  limits: StorageLimits;
  log: Logger;
  /** Milliseconds since 1970. */
  now: () => number;
  /** A fresh short id: 6 of `[0-9a-z]`. */
  shortId: () => string;
  /** The store must not go on; the daemon exits with 74. */
  onFatal: (error: Error) => void;
  /** Called with the name of each step of the store's protocol; tests crash here. */
  failpoint: (step: string) => void;
  /** Build the catalog again from the records, though it may be sound. */
  rebuildCatalog?: boolean;
  /** Fires when nobody waits for the provider to open any more: the attempt should fail soon. */
  signal?: AbortSignal;
  /** How long `close` lets calls to a bucket take; default 60 s. What is cut off is settled by the next start. */
  closeGraceMs?: number;
  /** `NORMAL` loses acknowledged saves at a power cut; the test of power cuts shows its teeth by it. Default: `FULL`. */
  synchronous?: 'FULL' | 'NORMAL';
}

/** Chooses a provider; unset or empty is the default, `*` is all of them where that makes sense. */
export interface ProviderChoice {
  provider?: string;
}

/** All providers of a configuration behind one door. */
export interface Storage {
  save(source: ByteSource, metadata: ImageMetadata, options?: SaveOptions & ProviderChoice): Promise<StorageResult>;
  get(filename: string, options?: GetOptions & ProviderChoice): Promise<StoredImage>;
  delete(filename: string, options?: ProviderChoice): Promise<boolean>;
  list(options?: ListOptions<Instant> & ProviderChoice): ImageList;
  /** Over `*`, nothing is deleted unless every provider is up. */
  cleanup(options: CleanupOptions<Instant> & ProviderChoice): Promise<CleanupResult>;
  /** One entry for each provider meant. */
  getStatistics(provider?: string): Promise<ProviderStatistics[]>;
  /**
   * Compares records and bytes; the summary comes last. A store that cannot be reached, or is another than was opened,
   * makes it throw: nothing is repaired or forgotten then.
   */
  verify(options?: VerifyOptions & ProviderChoice): AsyncIterable<VerifyEvent>;
  /** Copies images as they are, under the same filenames; the summary comes last. What is there already is skipped. */
  copy(options: CopyOptions & { from: string; to: string }): AsyncIterable<CopyEvent>;
  /** One entry for each provider. */
  health(): Record<string, ProviderHealth>;
  close(): Promise<void>;
}
