/** What the daemon and the process that decodes tell each other. */
import type { PreviewWidth } from '../storage/domain/preview.ts';

/** What to make of one image. */
export interface DecodeOrder {
  widths: readonly PreviewWidth[];
  /** Of the bytes that follow. */
  sizeBytes: number;
}

export interface MadePreview {
  width: PreviewWidth;
  bytes: Uint8Array;
}

/** What was made of one image. */
export interface Decoded {
  previews: MadePreview[];
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
  | { kind: 'decoded'; id: number; decoded: Decoded }
  | { kind: 'failed'; id: number; why: string };
