/** The domain's nouns and the contract of a storage provider. Times are Dates; sizes are bytes. */

import type { StorageLimits } from './config-types.ts';
import type { CopyEvent, CopyOptions, Maintainable, VerifyEvent, VerifyOptions } from './maintenance/types.ts';

export * from './config-types.ts';

/** What the generator knows of an image. Text is valid UTF-8 without NUL. */
export interface ImageMetadata {
  /** At most 64 KiB of UTF-8; may be empty. */
  prompt: string;
  /** Kept verbatim; folders and filenames use its slug. At most 1 KiB. */
  model: string;
  /** When the image was generated, years 1970 to 9999, kept to the millisecond. Default: the time of the save. */
  timestamp?: Date;
  /** A free label of at most 256 bytes, matched exactly. */
  category?: string;
  /** Generation parameters. On reading: `parametersJson` parsed, integers beyond 2^53 as bigint. */
  parameters?: Record<string, unknown>;
  /** The parameters as one JSON object, kept byte for byte; wins over `parameters` when both are given. */
  parametersJson?: string;
  /** At most 64 labels of at most 256 bytes; repetitions are dropped. */
  tags?: string[];
}

/** An image as List and Get show it. */
export interface StorageItem {
  /** Where to fetch the bytes. */
  url: string;
  /** `{timestamp}_{model-slug}_{short-uuid}.{ext}`: the identity of the image within its provider, never reused. */
  filename: string;
  /** The absolute path of the file; local stores only. */
  path?: string;
  /** The full key, `outputs/images/generations/<YYYY-MM-DD>/<model-slug>/<filename>`. */
  key: string;
  size: number;
  storageType: string;
  /** The name of the provider. */
  provider: string;
  metadata: Required<ImageMetadata>;
  /** Lower-case hex. */
  sha256: string;
  contentType: string;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** When the store committed the image. */
  createTime: Date;
  /** Spared by cleanup. */
  pinned: boolean;
}

/** The answer to a save. */
export interface StorageResult extends StorageItem {
  /** True when the idempotency key had been saved before: the rest is the first result. */
  replayed: boolean;
}

/** The bytes of an image, whole or in chunks. */
export type ByteSource = Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** What the caller says of the bytes; each is checked when given. */
export interface Declared {
  size?: number;
  /** Lower-case hex. */
  sha256?: string;
}

export interface SaveOptions extends Declared {
  /** 1 to 256 bytes of UTF-8. A repeated save with it returns the first result instead of a second image. */
  idempotencyKey?: string;
  /** The expected type, such as `image/png`. */
  contentType?: string;
  pinned?: boolean;
  /** Gives up and leaves nothing, as long as the commit has not begun. */
  signal?: AbortSignal;
  /** Asked once the source has ended, for callers who know size or sha256 only then. */
  trailer?: () => Declared;
}

export interface GetOptions {
  /** First byte; default 0. */
  offset?: number;
  /** At most so many bytes; 0 or unset means to the end. */
  limit?: number;
}

/** An image and its bytes. */
export interface StoredImage {
  item: StorageItem;
  /**
   * Opens the file on first use and closes it at the end or on return. A whole read throws BYTES_CORRUPT at its end when
   * the sha256 differs. Readable once.
   */
  body: AsyncIterable<Uint8Array>;
}

/** A point in time as people give it: a Date, RFC 3339, a plain date (UTC), or an age such as `30d`, `12h`. */
export type Instant = Date | string;

export interface DateRange<T = Date> {
  /** First instant inside. */
  start?: T;
  /** First instant outside; a plain date includes that whole day. */
  end?: T;
}

/** Which images are meant; all that are given must match. */
export interface ImageFilter<T = Date> {
  dateRange?: DateRange<T>;
  /** The name as it was sent, or its slug. */
  model?: string;
  category?: string;
  /** Words of the prompt, each as a word or the beginning of one. */
  query?: string;
  /** All of them must be there. */
  tags?: string[];
  pinned?: boolean;
}

export type Order = 'newest' | 'oldest';

export interface ListOptions<T = Date> extends ImageFilter<T> {
  /** Default `newest`. */
  order?: Order;
  /** 0 or unset means all. */
  limit?: number;
  /** Resumes after the page that carried this token. */
  pageToken?: string;
  /** Images a page at most, 1 to 1000; default 100. A page also stays below 1 MiB. */
  pageSize?: number;
}

/** The place of an image in the order of a list. */
export interface Position {
  timestamp: number;
  filename: string;
}

export interface Page {
  items: StorageItem[];
  /** Resumes after this page; empty where nothing is left. */
  nextPageToken: string;
}

/** Where a list resumes: behind the position, or with `inclusive` at it. */
export type Resume = Position & { inclusive?: boolean };

/** The part of a list that one provider has. */
export interface ListSource {
  provider: string;
  /** The next items in the order of the list; at least one unless nothing is left. */
  read(after: Resume | undefined, limit: number, maxBytes: number): Promise<{ items: StorageItem[]; more: boolean }>;
}

/** A list that is awaited for all items, iterated item by item, or read page by page. Nothing is read before. */
export interface ImageList extends PromiseLike<StorageItem[]>, AsyncIterable<StorageItem> {
  /** Pages with at least one item each. */
  pages(): AsyncIterable<Page>;
}

/** A list that can be merged with others. */
export interface Listing extends ImageList {
  /** What it is merged from. */
  sources(): ListSource[];
}

export interface CleanupOptions<T = Date> {
  /** Protects images whose timestamp is not before this. */
  olderThan?: T;
  /** Protects the newest so many that match the filters. */
  keepCount?: number;
  /** Protects the newest that match the filters and fit into so many bytes together. */
  keepBytes?: number;
  model?: string;
  category?: string;
  dryRun?: boolean;
  /** Stop after so many deletes. */
  maxDeletes?: number;
  signal?: AbortSignal;
}

export interface CleanupResult {
  deletedCount: number;
  freedBytes: number;
  /** The first 1,000, oldest first. */
  filenames: string[];
  /** Images that would have gone, were they not pinned. */
  keptPinned: number;
  dryRun: boolean;
  /** `maxDeletes` was reached and more would go. */
  more: boolean;
}

export interface GroupStatistics {
  name: string;
  count: number;
  bytes: number;
  /** The sum of all groups that are not listed. */
  rest: boolean;
}

export interface ProviderStatistics {
  provider: string;
  storageType: string;
  count: number;
  bytes: number;
  pinnedCount: number;
  oldest?: Date;
  newest?: Date;
  /** The 100 models with the most bytes, then the rest. */
  byModel: GroupStatistics[];
  /** The 100 categories with the most bytes, then the rest. */
  byCategory: GroupStatistics[];
  /** The 100 newest UTC days (`YYYY-MM-DD`), then the rest. */
  byDate: GroupStatistics[];
  /** Of the file system; local stores only. */
  capacityBytes?: number;
  freeBytes?: number;
}

/** Whether a provider serves, and if not, why in words that may be shown. */
export type ProviderHealth = { serving: true } | { serving: false; why: string };

/**
 * Keeps images under one root (a directory, a bucket).
 *
 * Promises, whatever the provider: an image exists if and only if it was committed. `save` resolves only when bytes and
 * metadata are on stable storage and visible; when it rejects nothing was kept, unless the error has `outcomeUnknown`.
 * A filename is never reused and its bytes never change. All failures are StorageErrors.
 */
export interface StorageProvider extends Maintainable {
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
  list(options?: ListOptions): Listing;
  cleanup(options: CleanupOptions): Promise<CleanupResult>;
  getStatistics(): Promise<ProviderStatistics>;
  /** Lets what runs finish, then frees the root. Idempotent. */
  close(): Promise<void>;
}

/** Structured logging, as pino does it. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
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
