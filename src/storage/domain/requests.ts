/** What callers ask of a provider, and its answers. Times are Dates; sizes are bytes. */
import type { StorageItem } from './image.ts';

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

/** Which images are meant, and in which order. */
export interface ImageQuery<T = Date> extends ImageFilter<T> {
  /** Default `newest`. */
  order?: Order;
}

export interface ListOptions<T = Date> extends ImageQuery<T> {
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

/** Where a list resumes: behind the position, or with `inclusive` at it. */
export type Resume = Position & { inclusive?: boolean };

/** Part of a list, read from one provider. */
export interface ItemPage {
  /** In the order of the list; empty only where nothing is left. */
  items: StorageItem[];
  /** At least one more item follows. */
  more: boolean;
}

export interface Page {
  items: StorageItem[];
  /** Resumes after this page; empty where nothing is left. */
  nextPageToken: string;
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
