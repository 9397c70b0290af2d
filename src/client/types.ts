/** The arguments and results of the client: plain objects, times as Dates, sizes in bytes as numbers. */
import type { PathLike } from 'node:fs';
import type { SecureContextOptions } from 'node:tls';
import type { ImageStorageError } from './errors.ts';

/** The generator's description of an image. Text is valid UTF-8 without NUL. */
export interface ImageMetadata {
  /** At most 64 KiB of UTF-8. Default: empty. */
  prompt?: string;
  /** Kept verbatim; folders and filenames use its slug. At most 1 KiB. Default: empty, the slug is `unknown` then. */
  model?: string;
  /** When the image was generated, kept to the millisecond. Default: the time of the call. */
  timestamp?: Date;
  /** A free label of at most 256 bytes, matched exactly by filters. */
  category?: string;
  /** The generation parameters as one JSON object, kept byte for byte, so that a 64-bit seed survives. */
  parametersJson?: string;
  /** At most 64 labels of at most 256 bytes. */
  tags?: string[];
}

/** A stored image. */
export interface Image {
  /** Where to fetch the bytes: a path below the daemon's publicUrl, a CDN URL or a presigned URL. */
  url: string;
  /** `url` made absolute, to open or to send; unset where the daemon is reached by a Unix socket and has no publicUrl. */
  link?: string;
  /** The image's identity within its provider, never reused. */
  filename: string;
  /** The absolute path on the daemon's machine; empty for object stores. */
  path: string;
  /** `outputs/images/generations/<YYYY-MM-DD>/<model-slug>/<filename>` */
  key: string;
  /** Bytes. */
  size: number;
  /** `local` or `s3`. */
  storageType: string;
  /** The name of the provider that keeps it. */
  provider: string;
  metadata: Required<ImageMetadata>;
  /** Lower-case hex. */
  sha256: string;
  /** `image/png`, `image/jpeg`, `image/webp`, `image/gif` or `image/avif`. */
  contentType: string;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** When the daemon committed it. */
  createTime: Date;
  /** Spared by cleanup. */
  pinned: boolean;
  /** When it goes as by a cleanup, unless it is pinned (`ttlMs`); unset: never. */
  expireTime?: Date;
  /** A blurred picture of about 25 bytes, see evanw.github.io/thumbhash; unset until the daemon has made it. */
  thumbHash?: Uint8Array;
  /** The settings of the generation; unset where the parameters name none, and from a daemon of before them. */
  generation?: Generation;
}

/** An image in the trash. */
export interface TrashedImage extends Image {
  deleteTime: Date;
  /** Until when `restore` can bring it back; a store without room may end it sooner. */
  purgeTime: Date;
}

/** The settings of a generation, in one vocabulary for all generators; what the parameters do not name is unset. */
export interface Generation {
  negativePrompt?: string;
  /** As it was written, so that one of 64 bits stays exact. */
  seed?: string;
  steps?: number;
  /** The guidance scale. */
  cfg?: number;
  sampler?: string;
  scheduler?: string;
  /** Without folders and extension. */
  loras?: string[];
  /** Pixels as asked for. */
  width?: number;
  /** Pixels as asked for. */
  height?: number;
}

/** The result of a save. */
export interface SavedImage extends Image {
  /** True when the idempotency key was used before; the rest is the result of that save. */
  replayed: boolean;
  /** True when replayed, and the image was deleted since: it is in the trash, or gone. False from an older daemon. */
  deleted: boolean;
}

/** The bytes of an image: in memory, in a file, or in a stream, which the save closes. */
export type Source = Uint8Array | AsyncIterable<Uint8Array> | { file: PathLike };

export interface CallOptions {
  /** Cancels the call, which then rejects with CANCELLED. */
  signal?: AbortSignal;
}

export interface ProviderChoice {
  /** Unset means the default provider; `*` means all of them, for list, totals, cleanup and verify. */
  provider?: string;
}

export interface SaveOptions extends CallOptions, ProviderChoice {
  /** 1 to 256 bytes of UTF-8; generated when unset. A repeated save with it returns the first result. */
  idempotencyKey?: string;
  /** The expected type, such as `image/png`, checked when given. */
  contentType?: string;
  /** Keeps the image out of every cleanup. */
  pinned?: boolean;
  /**
   * `fill` (default): the daemon fills what is left empty of prompt, model and parameters from what the generator wrote
   * into the file; `ignore`: the metadata is stored as sent. A daemon of before it reads nothing.
   */
  embedded?: 'fill' | 'ignore';
  /**
   * How long the image is wanted, in ms, at least 1,000: after it, and a day after the save at the earliest, the image goes
   * as by a cleanup, unless it is pinned. Unset: for ever. An older daemon keeps it: the saved image has no `expireTime`
   * then.
   */
  ttlMs?: number;
  /**
   * Rejects with DELETED_BEFORE where the image of the key was deleted, or within a year one of the same bytes, of which
   * none is there. An older daemon ignores it, or looks at the key alone.
   */
  unlessDeleted?: boolean;
  /** Called with the bytes of the image that were handed to the connection; starts again at 0 with each attempt. */
  onProgress?: (sentBytes: number) => void;
}

/** What an update changes of an image; unset or empty changes nothing. */
export interface ImageChanges {
  /** True: no cleanup deletes the image. False: removes the pin. */
  pinned?: boolean;
  /** The image has at most 64 tags with these. */
  addTags?: string[];
  removeTags?: string[];
  /** Empty: none. */
  category?: string;
}

export interface GetOptions extends CallOptions, ProviderChoice {
  /** First byte; default 0. */
  offset?: number;
  /** The most bytes to read; 0 or unset means to the end. */
  limit?: number;
  /** Returns the description only; the body is empty. */
  metadataOnly?: boolean;
}

/** An image and its bytes. */
export interface StoredImage {
  image: Image;
  /**
   * Readable once; resumes a lost connection where it broke. Reading a whole image rejects with DATA_LOSS at its end
   * when the sha256 differs: discard what was read then. The call stays open until the body is read to its end,
   * returned or aborted.
   */
  body: AsyncIterable<Uint8Array>;
}

/** Filters of images; an image must match all that are given. */
export interface ImageFilter {
  /** Half-open, on the image's timestamp: `start` is the first instant inside, `end` the first one outside. */
  dateRange?: { start?: Date; end?: Date };
  /** The name as it was sent, or its slug. */
  model?: string;
  category?: string;
  /**
   * Terms that must all hold: words of the prompt or their beginnings, `"a phrase"`, `-term`, `a OR b`, `field:value`
   * (`seed:42`, `steps:>=20`, `lora:ink`, `is:pinned`, …). All of it: docs/search.md.
   */
  query?: string;
  /** The image must have all of them. */
  tags?: string[];
  pinned?: boolean;
}

/** What there is in place of a model, category or tag that no image has. */
export interface Hint {
  /** `model`, `category` or `tag`. */
  field: string;
  /** The most similar first, then those of most images; at most 5. */
  values: string[];
}

/** Filters and order of a list. */
export interface ListOptions extends CallOptions, ProviderChoice, ImageFilter {
  /** Default `newest`. */
  order?: 'newest' | 'oldest';
  /**
   * `row` has what a row of a table shows: no parameters, prompt and negative prompt cut after 300 characters (code
   * points); the daemon then reads and sends no workflows. An older daemon sends all. Default `full`.
   */
  view?: 'full' | 'row';
  /** 0 or unset means all. */
  limit?: number;
  /**
   * Called at most once, before a list ends that matched nothing: when no image has a model, category or tag that was
   * asked for, also by the query. An older daemon gives no hints.
   */
  onHints?: (hints: Hint[]) => void;
}

export interface DeleteOptions extends CallOptions, ProviderChoice {
  /** Deletes for good, past the trash and out of it. */
  permanent?: boolean;
}

export interface DeleteResult {
  filename: string;
  /** True when this call deleted it. */
  deleted: boolean;
  /** IMAGE_NOT_FOUND, or the reason of the error for this filename; empty when deleted. */
  reason: string;
  /** Until when `restore` can bring it back; unset: it is deleted for good. */
  restorableUntil?: Date;
}

export interface RestoreResult {
  filename: string;
  /** True when this call brought it back. */
  restored: boolean;
  /** IMAGE_NOT_FOUND, NOT_DELETED (it is live), or the reason of the error for this filename; empty when restored. */
  reason: string;
}

/** Which images of the trash to list. */
export interface TrashOptions extends CallOptions, ProviderChoice {
  /** As that of a list. */
  query?: string;
  /** 0 or unset means all. */
  limit?: number;
}

/** Which images of the trash to delete for good. */
export type PurgeOptions = CallOptions & ProviderChoice & ({ filenames: string | readonly string[] } | { all: true });

/** The images that are gone. */
export interface PurgeResult {
  count: number;
  bytes: number;
}

/** A point in time as its distance before now, by the daemon's clock. */
export interface Age {
  ageMs: number;
}

/** Each that is given protects images from a cleanup. */
export interface CleanupCriteria {
  /**
   * Protects images whose timestamp is not before this. Prefer an age, which does not depend on the clock of this
   * machine; a Date more than five minutes after the daemon's clock is refused.
   */
  olderThan?: Date | Age;
  /** Protects this many of the newest images that match the filters. */
  keepCount?: number;
  /** Protects the newest images that match the filters and together fit into this many bytes. */
  keepBytes?: number;
}

/**
 * The images that a cleanup deletes: those that match every filter and that no criterion and no pin protects. Without any
 * criterion, images dated after now go, too. Requires a filter, a criterion or a plan; `except` is none.
 */
export interface Selection extends ImageFilter, CleanupCriteria {
  /** Only images with these filenames, at most 1,000; empty: any. */
  only?: readonly string[];
  /** No image with one of these filenames, at most 1,000. */
  except?: readonly string[];
  /**
   * That of a dry run with the same provider, filters and criteria: nothing goes that would not have gone then, and nothing
   * that the daemon has learnt or changed since.
   */
  plan?: Uint8Array;
}

/** Requires a selection, a policy, or at least one of olderThan, keepCount and keepBytes. */
export interface CleanupOptions extends CallOptions, ProviderChoice, CleanupCriteria {
  /** The images to delete; no filter, criterion or policy stands beside it. */
  selection?: Selection;
  model?: string;
  category?: string;
  dryRun?: boolean;
  /** The most images to delete. */
  maxDeletes?: number;
  /** Deletes for good, past the trash. */
  permanent?: boolean;
  /** A retention policy of the daemon's configuration, run now; provider, criteria and filters are those of the policy. */
  policy?: string;
}

export interface CleanupResult {
  deletedCount: number;
  freedBytes: number;
  /** The first 1,000, oldest first. */
  filenames: string[];
  /** Images that would have been deleted but are pinned. */
  keptPinned: number;
  /** Images dated after the daemon's clock: kept, and not counted by keepCount and keepBytes. */
  keptFuture: number;
  /** Images that match and would have gone, but came or changed after the plan. */
  keptChanged: number;
  dryRun: boolean;
  /** True when `maxDeletes` was reached, now or in the plan, and more images would be deleted. */
  more: boolean;
  /**
   * Of a dry run without a policy: what deletes these images and no others, as the `plan` of a selection. Valid for an hour;
   * then, or after a restart of the daemon, PLAN_EXPIRED. Unset from an older daemon.
   */
  plan?: Uint8Array;
  /** Why images go; together the same images as `deletedCount`. Empty from an older daemon. */
  reasons: CleanupReason[];
  /**
   * Until when `restore` can bring the images back, of a dry run if it ran now; unset: they are deleted for good, or an
   * older daemon answered.
   */
  restorableUntil?: Date;
}

/** How many images go for one reason. */
export interface CleanupReason {
  /** Such as `older than 30d, not among the last 1,000 of flux-schnell`. */
  text: string;
  count: number;
  bytes: number;
}

export interface ConnectOptions {
  /**
   * Sent as `authorization: Bearer` with every call. Default: the variable IMAGE_STORAGE_TOKEN, else what the file has
   * that IMAGE_STORAGE_TOKEN_FILE names; empty: none.
   */
  token?: string;
  /** Whether the token may go to another machine without TLS, where whoever is between can take it. Default: false. */
  allowPlaintextToken?: boolean;
  /**
   * True trusts Node's default root certificates; for others, or a client certificate: `ca`, `cert`, `key` as in
   * `node:tls`. Default: true for an address with `https://`, else false.
   */
  tls?: boolean | SecureContextOptions;
  /**
   * A file with the certificates, in PEM, of those whose signature counts for the daemon's; given here, TLS is used.
   * Default: the variable IMAGE_STORAGE_CA_FILE.
   */
  caFile?: string;
  /**
   * The most retries of a call; 0 means none. Default: 6, over 3 to 6 seconds while a daemon is away. Progress of a list or
   * a get starts the count again.
   */
  retries?: number;
  /**
   * ms in which a client that never reached a daemon looks for it, before it rejects with DAEMON_UNREACHABLE; more for one
   * that may start before its daemon. Default: 2,500.
   */
  connectTimeoutMs?: number;
  /**
   * ms for one call with all its attempts; 0 means no limit. Default: 10 minutes; no limit for list, get, verify and
   * copy.
   */
  deadlineMs?: number;
  /** Called before each wait for another attempt. */
  onRetry?: (error: ImageStorageError, delayMs: number) => void;
}
