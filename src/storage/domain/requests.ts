/** Options and results of a provider's methods. Times are Dates; sizes are bytes. */
import type { Caller } from './caller.ts';
import type { StorageItem } from './image.ts';

/** Chunks of an image in their order, which are not used again by who made them. */
export type ByteBatch = readonly Uint8Array[];

/** The bytes of an image: whole, in chunks, each of which is read until the next is asked for, or in batches. */
export type ByteSource = Uint8Array | AsyncIterable<Uint8Array | ByteBatch> | Iterable<Uint8Array>;

/** Size and sha256 of the bytes as the caller declares them; each is checked when given. */
export interface Declared {
  size?: number;
  /** Lower-case hex. */
  sha256?: string;
}

export interface SaveOptions extends Declared {
  /** 1 to 256 bytes of UTF-8. A repeated save with the same key returns the first result and stores no second image. */
  idempotencyKey?: string;
  /** The expected type, such as `image/png`. */
  contentType?: string;
  pinned?: boolean;
  /**
   * Whether the metadata that a generator left in the file fills what is empty of prompt, model and parameters; default
   * `fill`. The fingerprint of a save is that of what was sent.
   */
  embedded?: 'fill' | 'ignore';
  /**
   * True: rejects with DELETED_BEFORE where the image of the idempotency key was deleted, or within a year one of the same
   * bytes, of which none is there. Default: false.
   */
  unlessDeleted?: boolean;
  /** How long the image is wanted from its commit on, in ms, at least 1,000; unset: for ever. */
  ttlMs?: number;
  /** Cancels the save, which leaves nothing behind, unless the commit has begun. */
  signal?: AbortSignal;
  /** Called once the source has ended, for callers that know size or sha256 only then. */
  trailer?: () => Declared;
  /** Returns how many bytes have come, those of unfinished chunks too: a save that moves keeps its place. */
  arrived?: () => number;
  /** Who saves; places are shared among callers. Default: this process. */
  caller?: Caller;
}

export interface DeleteOptions {
  /** True: for good, past the trash, and out of it. Default: false. */
  permanent?: boolean;
}

/** The result of a delete. */
export interface Deletion {
  /** False: there was no image of that name. */
  deleted: boolean;
  /** Until when the image can be brought back; unset: it is deleted for good. */
  restorableUntil?: Date;
}

export interface TrashOptions {
  /** As that of a list. */
  query?: string;
  /** The most images to return; 0 or unset: all. */
  limit?: number;
  /** Resumes after the page that carried this token. */
  pageToken?: string;
  /** The most images of a page, 1 to 1000; default 100. */
  pageSize?: number;
}

/** Which images of the trash to delete for good. */
export type PurgeOptions = { filenames: readonly string[] } | { all: true };

export interface PurgeResult {
  count: number;
  bytes: number;
  /** True when more are left of all. */
  more: boolean;
}

/** What an update changes of an image; unset or empty changes nothing. */
export interface ImageChanges {
  /** True: cleanup never deletes the image. False: removes the pin. */
  pinned?: boolean;
  /** The image has at most 64 tags with these. */
  addTags?: string[];
  removeTags?: string[];
  /** Empty: none. */
  category?: string;
}

export interface GetOptions {
  /** Whether a chunk is needed only until the next is asked for; its memory may then be used again. Default: false. */
  reuseMemory?: boolean;
  /** True: an image in the trash in place of a live one, with the times of the trash. Default: false. */
  trashed?: boolean;
  /** The first byte to return; default 0. */
  offset?: number;
  /** The most bytes to return; 0 or unset: to the end. */
  limit?: number;
}

/** A point in time as its distance before now, by the clock of whoever resolves it. */
export interface Age {
  ageMs: number;
}

/** A point in time as callers give it: a Date, an age, or text: RFC 3339, a plain date (UTC), `30d`, `12h`. */
export type Instant = Date | Age | string;

export interface DateRange<T = Date> {
  /** The first instant inside. */
  start?: T;
  /** The first instant after; a plain date includes that whole day. */
  end?: T;
}

/** Selects images; every field that is given must match. */
export interface ImageFilter<T = Date> {
  dateRange?: DateRange<T>;
  /** The name as it was saved, or its slug. */
  model?: string;
  category?: string;
  /**
   * Terms that must all hold: words of the prompt or their beginnings, `"a phrase"`, `-term`, `a OR b`, `field:value`.
   * The contract's ListRequest.query and docs/search.md have all of it.
   */
  query?: string;
  /** The image must have all of them. */
  tags?: string[];
  pinned?: boolean;
}

export type Order = 'newest' | 'oldest';

/**
 * How much of each image is read: `full` is all, `row` what a row of a table shows: no parameters, prompt and negative
 * prompt cut after 300 characters (code points).
 */
export type View = 'full' | 'row';

/** Selects images, their order and how much of them is read. */
export interface ImageQuery<T = Date> extends ImageFilter<T> {
  /** Default `newest`. */
  order?: Order;
  /** Default `full`. */
  view?: View;
}

export interface ListOptions<T = Date> extends ImageQuery<T> {
  /** The most images to return; 0 or unset: all. */
  limit?: number;
  /** Resumes after the page that carried this token. */
  pageToken?: string;
  /** The most images of a page, 1 to 1000; default 100. A page also stays below 1 MiB. */
  pageSize?: number;
}

/** The position of an image in the order of a list: a keyset cursor. `timestamp` is ms since 1970. */
export interface Position {
  timestamp: number;
  filename: string;
}

/** Where a list resumes: after the position, or at it when `inclusive`. */
export type Resume = Position & { inclusive?: boolean };

/** A page of a list, read from one provider. */
export interface ItemPage {
  /** In the order of the list; empty only when nothing is left. */
  items: StorageItem[];
  /** True when at least one more item follows. */
  more: boolean;
}

export interface Page {
  items: StorageItem[];
  /** Resumes after this page; empty when nothing is left. */
  nextPageToken: string;
}

/** Each that is given protects images from a cleanup. */
export interface CleanupCriteria<T = Date> {
  /**
   * Protects images with this timestamp or a later one. At most five minutes after the clock of the storage, which is
   * then read as now; an age is resolved by that clock.
   */
  olderThan?: T;
  /** The age that `olderThan` was given as, for the reasons. */
  olderThanAgeMs?: number;
  /** Protects this many of the newest images that match the filters. */
  keepCount?: number;
  /** Protects the newest images that match the filters and together fit into this many bytes. */
  keepBytes?: number;
}

/**
 * The images that a cleanup deletes: those that match every filter and that no criterion and no pin protects. Without any
 * criterion, images dated after now go, too. One filter, criterion or plan is required; `except` is none.
 */
export interface Selection<T = Date> extends ImageFilter<T>, CleanupCriteria<T> {
  /** Only images with these filenames, at most 1,000; empty: any. */
  only?: readonly string[];
  /** No image with one of these filenames, at most 1,000. */
  except?: readonly string[];
  /**
   * That of a dry run with the same provider, filters and criteria: nothing goes that would not have gone then, and nothing
   * that the index has learnt or changed since. Ages count from the dry run.
   */
  plan?: Uint8Array;
}

/**
 * Filters and criteria of a cleanup. One of `olderThan`, `keepCount` and `keepBytes` is required, or a `selection` or
 * `policy`.
 */
export interface CleanupOptions<T = Date> extends CleanupCriteria<T> {
  model?: string;
  category?: string;
  /** The images to delete: no filter, criterion or policy stands beside it. */
  selection?: Selection<T>;
  /** Runs this policy of the configuration now, on the providers that it names: no filter or criterion stands beside it. */
  policy?: string;
  dryRun?: boolean;
  /** The most images to delete; default: no limit. */
  maxDeletes?: number;
  /** True: for good, past the trash. Default: false. */
  permanent?: boolean;
  signal?: AbortSignal;
}

export interface CleanupResult {
  deletedCount: number;
  freedBytes: number;
  /** The first 1,000 that were deleted, oldest first. */
  filenames: string[];
  /** Images that were kept only because they are pinned. */
  keptPinned: number;
  /** Images that match the filters and are dated after now: kept, and counted by neither `keepCount` nor `keepBytes`. */
  keptFuture: number;
  dryRun: boolean;
  /** Images that match and would have gone, but were learnt or changed after the plan. */
  keptChanged: number;
  /** True when `maxDeletes` was reached, now or in the plan, and more images are unprotected. */
  more: boolean;
  /**
   * Of a dry run without a policy: what deletes these images and no others, as the plan of a selection. Valid for an hour,
   * while the storage is open, and until more than 20,000 images were updated.
   */
  plan?: Uint8Array;
  /** Why images go; the same images as `deletedCount`. */
  reasons: CleanupReason[];
  /** Until when the images can be brought back, of a dry run if it ran now; unset: they are deleted for good. */
  restorableUntil?: Date;
}

/** How many images go for one reason. */
export interface CleanupReason {
  /** Such as `older than 30d, not among the last 1,000 of flux-schnell`. */
  text: string;
  count: number;
  bytes: number;
}

export interface GroupStatistics {
  name: string;
  count: number;
  bytes: number;
  /** True for the sum of all groups that are not listed. */
  rest: boolean;
}

/** How images are grouped: by day or month of their timestamp in a time zone, or by what they have. */
export type GroupBy = 'day' | 'month' | 'model' | 'category' | 'tag' | 'lora';

/** Which images to count, and how to group them. */
export interface TotalsOptions<T = Date> extends ImageFilter<T> {
  /** Unset: no groups. An image with several tags or LoRAs counts in each of them. */
  by?: GroupBy;
  /** Returns only groups whose names begin so; case and accents are ignored. At most 1 KiB. */
  startsWith?: string;
  /** The IANA time zone of days and months; default UTC. */
  timeZone?: string;
  /** The most groups to return, 1 to 10,000; default 100. Those beyond are one rest. */
  limit?: number;
}

/** Count and size of the images that match, in total and by group. */
export interface Totals<T = Date> {
  count: number;
  bytes: number;
  oldest?: T;
  newest?: T;
  /** Days and months newest first, others by their images; without a name: images that have none. */
  groups: GroupStatistics[];
  /** True when counting was ended before all images that match were seen: the totals are of the newest of them. */
  more: boolean;
}

/** What there is in place of a value that no image has. */
export interface Hint {
  /** The filter that has the value. */
  field: 'model' | 'category' | 'tag';
  /** Values that images have, the most similar first, then those of most images; at most 5. */
  values: string[];
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
  /** With the bytes in the trash, which give way. */
  freeBytes?: number;
  /** Images in the trash, which are counted nowhere else. */
  trashCount: number;
  trashBytes: number;
  /** The retention policies that apply to this provider. */
  policies: PolicyStatistics[];
}

/** The runs of a retention policy on one provider. */
export interface PolicyStatistics {
  name: string;
  /** Unset: never. */
  lastRun?: Date;
  nextRun?: Date;
  /** True while the next run is the first one that deletes: the last one was a dry run, or none was. */
  announced: boolean;
  /** What went by the last run, or would have gone by a dry run. */
  lastCount: number;
  lastBytes: number;
}

/**
 * Whether a provider serves; `why` gives the reason when it does not, and is safe to show to callers. `place` is the
 * folder that is missing, for operators.
 */
export type ProviderHealth = { serving: true } | { serving: false; why: string; place?: string };
