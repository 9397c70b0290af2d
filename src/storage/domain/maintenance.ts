/** Options and events of verifying a store and of copying between stores. */
import type { ImageRecord } from './record.ts';
import type { ImageFilter } from './requests.ts';

export interface MaintenanceProgress {
  images: number;
  /** 0 when unknown; approximate while images are saved or deleted. */
  totalImages: number;
  bytes: number;
  totalBytes: number;
}

/** An inconsistency between image, record, catalog and index. */
export type Problem =
  /** The bytes of a saved image are missing. */
  | 'bytes_missing'
  /** The bytes are not those that were saved, by size or by sha256; only `deep` compares the sha256. */
  | 'size_differs'
  | 'checksum_differs'
  /** The record of a saved image is missing, torn, or differs from the catalog. */
  | 'record_damaged'
  /** Bytes that no save committed. */
  | 'not_committed'
  /** Bytes of a deleted image that were put back. */
  | 'deleted_before'
  /** A record without an image and without bytes. */
  | 'record_alone'
  /** A file or object that is not the store's. */
  | 'foreign'
  /** A search by a word of its prompt does not find a saved image. */
  | 'index_blind';

/**
 * The repair of a problem; `adopted`: committed with the data of its record, or of its filename and embedded metadata.
 */
export type Remedy = 'none' | 'restored' | 'adopted' | 'quarantined' | 'forgotten';

/** One problem at one key, and its repair. */
export interface Finding {
  problem: Problem;
  remedy: Remedy;
  /** The full key, `outputs/…`. */
  key: string;
  /** Unset for foreign files. */
  filename?: string;
  /** Details in words. */
  detail?: string;
}

export interface VerifyOptions {
  /** Reads all bytes and compares their sha256. */
  deep?: boolean;
  /**
   * Rewrites damaged records, adopts whole images without a record, and quarantines everything else that does not
   * belong here.
   */
  repair?: boolean;
  /** Deletes the records of images whose bytes are missing. */
  forgetMissing?: boolean;
  signal?: AbortSignal;
}

export interface VerifySummary {
  images: number;
  bytes: number;
  findings: number;
  remedied: number;
  /** Objects that are too young to judge; shared buckets only. */
  undecided: number;
}

export type VerifyEvent =
  | { kind: 'progress'; progress: MaintenanceProgress }
  | { kind: 'finding'; provider: string; finding: Finding }
  | { kind: 'summary'; summary: VerifySummary };

export interface CopyOptions extends Pick<ImageFilter, 'model' | 'category'> {
  /** Copies only images with a timestamp before this. */
  before?: Date;
  dryRun?: boolean;
  /**
   * Deletes each image from the source once its bytes were read back from the target: into its trash where it has one, or
   * `permanent`.
   */
  deleteSource?: boolean;
  permanent?: boolean;
  /**
   * Also copies images that the target has deleted: restores those in its trash, and copies others under another short id,
   * which is the same in every run.
   */
  bringBack?: boolean;
  /** Images copied at once, 1 to 64; default 4. */
  concurrency?: number;
  signal?: AbortSignal;
}

/** Why an image was not copied. */
export interface CopyFailure {
  filename: string;
  reason: 'BYTES_MISSING' | 'BYTES_CORRUPT' | 'DELETED_BEFORE' | 'FILENAME_TAKEN' | 'IMAGE_TOO_LARGE';
  message: string;
}

export interface CopySummary {
  /** Images that were copied, or would be in a dry run. */
  copied: number;
  copiedBytes: number;
  /** Images that the target already had. */
  present: number;
  failed: number;
  /** Images deleted from the source. */
  deleted: number;
  dryRun: boolean;
}

export type CopyEvent =
  | { kind: 'progress'; progress: MaintenanceProgress }
  | { kind: 'failed'; failure: CopyFailure }
  /** The work done before a store failed or the call was cancelled; the error follows. */
  | { kind: 'stopped'; summary: CopySummary }
  | { kind: 'summary'; summary: CopySummary };

/** What a store holds under a filename; `deleted`: while its tombstone exists. */
export type StoredState = { state: 'live' | 'trashed'; record: ImageRecord } | { state: 'deleted' | 'absent' };
