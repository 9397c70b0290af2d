/** What callers of the client hand in and get back: plain objects, times as Dates, sizes in bytes as numbers. */
import type { PathLike } from 'node:fs';
import type { SecureContextOptions } from 'node:tls';
import type { ImageStorageError } from './errors.ts';

/** What the generator knows of an image. Text is valid UTF-8 without NUL. */
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
  /** The image's identity within its provider, never reused. */
  filename: string;
  /** The absolute path where the daemon runs; empty for object stores. */
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
}

/** The answer to a save. */
export interface SavedImage extends Image {
  /** True when the idempotency key had been saved before: the rest is the first result. */
  replayed: boolean;
}

/** The bytes of an image: in memory, in a file, or as they come. A stream is closed when the save is over. */
export type Source = Uint8Array | AsyncIterable<Uint8Array> | { file: PathLike };

export interface CallOptions {
  /** Ends the call with CANCELLED. */
  signal?: AbortSignal;
}

export interface ProviderChoice {
  /** Unset is the default provider; `*` is all of them, for list, stats and cleanup. */
  provider?: string;
}

export interface SaveOptions extends CallOptions, ProviderChoice {
  /** 1 to 256 bytes of UTF-8; generated when unset. A repeated save with it returns the first result. */
  idempotencyKey?: string;
  /** The expected type, such as `image/png`, checked when given. */
  contentType?: string;
  /** Keep the image out of every cleanup. */
  pinned?: boolean;
  /** Told how many bytes of the image were handed to the connection; starts again at 0 with each attempt. */
  onProgress?: (sentBytes: number) => void;
}

export interface GetOptions extends CallOptions, ProviderChoice {
  /** First byte; default 0. */
  offset?: number;
  /** At most so many bytes; 0 or unset means to the end. */
  limit?: number;
  /** Only the description; the body is empty. */
  metadataOnly?: boolean;
}

/** An image and its bytes. */
export interface StoredImage {
  image: Image;
  /**
   * Readable once; resumes where a lost connection broke it. A whole read ends in DATA_LOSS when the sha256 differs:
   * discard what was read then. The call stays open until the body is read, returned or aborted.
   */
  body: AsyncIterable<Uint8Array>;
}

/** Filters and order of a list; an image must match all that are given. */
export interface ListOptions extends CallOptions, ProviderChoice {
  /** Half-open, on the image's timestamp: `start` is the first instant inside, `end` the first one outside. */
  dateRange?: { start?: Date; end?: Date };
  /** The name as it was sent, or its slug. */
  model?: string;
  category?: string;
  /** Words of the prompt, each as a word or the beginning of one. */
  query?: string;
  /** All of them must be there. */
  tags?: string[];
  pinned?: boolean;
  /** Default `newest`. */
  order?: 'newest' | 'oldest';
  /** 0 or unset means all. */
  limit?: number;
}

export interface DeleteResult {
  filename: string;
  /** True when this call deleted it. */
  deleted: boolean;
  /** IMAGE_NOT_FOUND, or the reason of the error this one met; empty when deleted. */
  reason: string;
}

/** At least one of olderThan, keepCount and keepBytes; each that is given protects. */
export interface CleanupOptions extends CallOptions, ProviderChoice {
  /** Protects images whose timestamp is not before this. */
  olderThan?: Date;
  /** Protects the newest so many that match the filters. */
  keepCount?: number;
  /** Protects the newest that match the filters and fit into so many bytes together. */
  keepBytes?: number;
  model?: string;
  category?: string;
  dryRun?: boolean;
  /** Stop after so many deletes. */
  maxDeletes?: number;
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

export interface GroupStats {
  /** Empty for images that have none, and for the rest. */
  name: string;
  count: number;
  bytes: number;
  /** The sum of all groups that are not listed. */
  rest: boolean;
}

export interface ProviderStats {
  provider: string;
  storageType: string;
  count: number;
  bytes: number;
  pinnedCount: number;
  oldest?: Date;
  newest?: Date;
  byModel: GroupStats[];
  byCategory: GroupStats[];
  /** By UTC day, newest first. */
  byDate: GroupStats[];
  /** Of the file system; local stores only. */
  capacityBytes?: number;
  freeBytes?: number;
}

export interface ConnectOptions {
  /** Sent as `authorization: Bearer` with every call, without TLS in the clear. */
  token?: string;
  /** True trusts the usual roots; for your own, or a client certificate: `ca`, `cert`, `key` as in `node:tls`. Default: false. */
  tls?: boolean | SecureContextOptions;
  /**
   * How often a failed attempt is repeated; 0 means never. Default 6, over 3 to 6 seconds where no daemon is found.
   * Progress of a list or a get starts the count again.
   */
  retries?: number;
  /** ms for one call with all its attempts; 0 means no end. Default 10 minutes, for list and get no end. */
  deadlineMs?: number;
  /** Told before each wait for another attempt. */
  onRetry?: (error: ImageStorageError, delayMs: number) => void;
}

export interface MaintenanceProgress {
  images: number;
  /** 0 when not known. */
  totalImages: number;
  bytes: number;
  totalBytes: number;
}

export interface VerifyOptions extends CallOptions, ProviderChoice {
  /** Read all bytes and compare their sha256. */
  deep?: boolean;
  /** Write records again, adopt whole images without a record, quarantine what else does not belong here. */
  repair?: boolean;
  /** Delete the records of images whose bytes are missing. */
  forgetMissing?: boolean;
}

/** Something in a store that does not fit together. */
export interface Finding {
  provider: string;
  /** The full key, `outputs/…`. */
  key: string;
  /** Empty for foreign files. */
  filename: string;
  /** In lower case, as the contract names them: `bytes_missing`, `not_committed`, … */
  problem: string;
  /** `none`, `restored`, `adopted`, `quarantined` or `forgotten`. */
  remedy: string;
  /** More in words, or empty. */
  detail: string;
}

export interface VerifySummary {
  images: number;
  bytes: number;
  findings: number;
  remedied: number;
  /** Objects without a record that are younger than a day, and so not judged yet; of buckets only. */
  undecided: number;
}

export type VerifyEvent =
  | { kind: 'progress'; progress: MaintenanceProgress }
  | { kind: 'finding'; finding: Finding }
  | { kind: 'summary'; summary: VerifySummary };

export interface CopyOptions extends CallOptions {
  /** The provider to read; empty is the default one. */
  from: string;
  /** The provider to write. */
  to: string;
  /** The name as it was sent, or its slug. */
  model?: string;
  category?: string;
  /** Only images with a timestamp before this. */
  before?: Date;
  dryRun?: boolean;
  /** Delete each image from the source once the target has it and its bytes were read back. */
  deleteSource?: boolean;
  /** Copy also what the target has deleted, under another short id, the same in every run. */
  bringBack?: boolean;
  /** Images at once, 1 to 64; default 4. */
  concurrency?: number;
}

/** An image that was not copied. */
export interface CopyFailure {
  filename: string;
  reason: string;
  message: string;
}

export interface CopySummary {
  /** That were copied, or would be. */
  copied: number;
  copiedBytes: number;
  /** That the target had already. */
  present: number;
  failed: number;
  /** From the source. */
  deleted: number;
  dryRun: boolean;
}

export type CopyEvent =
  | { kind: 'progress'; progress: MaintenanceProgress }
  | { kind: 'failed'; failure: CopyFailure }
  /** A store failed: what was done until then. The error follows. */
  | { kind: 'stopped'; summary: CopySummary }
  | { kind: 'summary'; summary: CopySummary };
