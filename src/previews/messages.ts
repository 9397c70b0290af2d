/** What the daemon and the process that decodes tell each other. */
import type { PreviewWidth } from '../storage/domain/preview.ts';

/** What to make of one image. */
export interface DecodeOrder {
  widths: readonly PreviewWidth[];
  /** Whether its ThumbHash is wanted, too. */
  wantsHash: boolean;
  sizeBytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** Where the process reads it; undefined: its bytes are sent. */
  path?: string | undefined;
}

export interface MadePreview {
  width: PreviewWidth;
  bytes: Uint8Array;
}

/** What was made of one image. */
export interface Decoded {
  previews: MadePreview[];
  thumbHash?: Uint8Array;
}

export type ToWorker =
  | { kind: 'order'; id: number; order: DecodeOrder }
  | { kind: 'bytes'; id: number; bytes: Uint8Array }
  /** Behind the last bytes. */
  | { kind: 'decode'; id: number }
  | { kind: 'forget'; id: number };

export type FromWorker =
  | { kind: 'ready' }
  /** The library that decodes is not there, or does not load on this machine. */
  | { kind: 'unable'; why: string }
  /** `residentBytes`: what the process has now. */
  | { kind: 'decoded'; id: number; decoded: Decoded; residentBytes: number }
  /** `isUnread`: its bytes are not there, or not those that were saved. */
  | { kind: 'failed'; id: number; why: string; isUnread: boolean };
