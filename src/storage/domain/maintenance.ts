/** What verifying a store and copying between stores take and report. */
import type { ImageRecord } from './record.ts';
import type { ImageFilter } from './requests.ts';

export interface MaintenanceProgress {
  images: number;
  /** 0 when not known; approximate beside saves and deletes. */
  totalImages: number;
  bytes: number;
  totalBytes: number;
}

/** What does not fit together. */
export type Problem =
  /** The image was saved, and its bytes are gone. */
  | 'bytes_missing'
  /** Its bytes are others than were saved: in their size; in their sha256, which only `deep` reads. */
  | 'size_differs'
  | 'checksum_differs'
  /** The record of a saved image is missing, torn, or tells something else than the catalog. */
  | 'record_damaged'
  /** Bytes that no save committed. */
  | 'not_committed'
  /** Bytes of a deleted image that somebody brought back. */
  | 'deleted_before'
  /** A record without image and bytes. */
  | 'record_alone'
  /** None of the store's files. */
  | 'foreign';

/** What was done about it; `adopted`: committed with what its record, or filename and embedded metadata tell. */
export type Remedy = 'none' | 'restored' | 'adopted' | 'quarantined' | 'forgotten';

export interface Finding {
  problem: Problem;
  remedy: Remedy;
  /** The full key, `outputs/…`. */
  key: string;
  /** Unset for foreign files. */
  filename?: string;
  /** More in words. */
  detail?: string;
}

export interface VerifyOptions {
  /** Read all bytes and compare their sha256. */
  deep?: boolean;
  /** Write records again, adopt whole images without a record, quarantine what else does not belong here. */
  repair?: boolean;
  /** Delete the records of images whose bytes are missing. */
  forgetMissing?: boolean;
  signal?: AbortSignal;
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
  | { kind: 'finding'; provider: string; finding: Finding }
  | { kind: 'summary'; summary: VerifySummary };

export interface CopyOptions extends Pick<ImageFilter, 'model' | 'category'> {
  /** Only images with a timestamp before this. */
  before?: Date;
  dryRun?: boolean;
  /** Delete each image from the source once the target has it and its bytes were read back. */
  deleteSource?: boolean;
  /** Copy also what the target has deleted, under another short id, the same in every run. */
  bringBack?: boolean;
  /** Images at once, 1 to 64; default 4. */
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
  /** A store failed, or the call was cancelled: what was done until then. The error follows. */
  | { kind: 'stopped'; summary: CopySummary }
  | { kind: 'summary'; summary: CopySummary };

/** What a store holds under a filename; `deleted`: as long as it remembers. */
export type StoredState = { state: 'live'; record: ImageRecord } | { state: 'deleted' | 'absent' };
