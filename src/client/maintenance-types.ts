/** The arguments and events of verify and copy. */
import type { CallOptions, ProviderChoice } from './types.ts';

export interface MaintenanceProgress {
  images: number;
  /** 0 when unknown. */
  totalImages: number;
  bytes: number;
  totalBytes: number;
}

export interface VerifyOptions extends CallOptions, ProviderChoice {
  /** Reads all bytes and compares their sha256. */
  deep?: boolean;
  /** Restores records, adopts whole images without a record, and quarantines all else that does not belong here. */
  repair?: boolean;
  /** Deletes the records of images whose bytes are missing. */
  forgetMissing?: boolean;
}

/** A part of a store that does not match the rest. */
export interface Finding {
  provider: string;
  /** The full key, `outputs/…`. */
  key: string;
  /** Empty for foreign files. */
  filename: string;
  /** The contract's name in lower case: `bytes_missing`, `not_committed`, … */
  problem: string;
  /** `none`, `restored`, `adopted`, `quarantined` or `forgotten`. */
  remedy: string;
  /** Details in words, or empty. */
  detail: string;
}

export interface VerifySummary {
  images: number;
  bytes: number;
  findings: number;
  remedied: number;
  /** Objects that are too young to judge; only in a shared bucket. */
  undecided: number;
}

export type VerifyEvent =
  | { kind: 'progress'; progress: MaintenanceProgress }
  | { kind: 'finding'; finding: Finding }
  | { kind: 'summary'; summary: VerifySummary };

export interface CopyOptions extends CallOptions {
  /** The provider to read; empty means the default one. */
  from: string;
  /** The provider to write. */
  to: string;
  /** The name as it was sent, or its slug. */
  model?: string;
  category?: string;
  /** Only images with a timestamp before this. */
  before?: Date;
  dryRun?: boolean;
  /** Deletes each image from the source once the target has it and its bytes were read back. */
  deleteSource?: boolean;
  /** With `deleteSource`: for good, past the trash of the source. */
  permanent?: boolean;
  /**
   * Copies also images that the target has deleted: restores one in its trash, and copies others under another short id,
   * the same in every run.
   */
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
  /** Images that were copied, or would be in a dry run. */
  copied: number;
  copiedBytes: number;
  /** Images that the target had already. */
  present: number;
  failed: number;
  /** Images that were deleted from the source. */
  deleted: number;
  dryRun: boolean;
}

export type CopyEvent =
  | { kind: 'progress'; progress: MaintenanceProgress }
  | { kind: 'failed'; failure: CopyFailure }
  /** A store failed; the summary of the work until then. The error follows. */
  | { kind: 'stopped'; summary: CopySummary }
  | { kind: 'summary'; summary: CopySummary };
