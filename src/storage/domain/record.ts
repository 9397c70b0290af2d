/** The record of an image: all that a store keeps of it besides its bytes. */

/** All that is kept of an image besides its bytes; the content of its record file. Times are ms since 1970. */
export interface ImageRecord {
  filename: string;
  key: string;
  size: number;
  /** Lower-case hex. */
  sha256: string;
  contentType: string;
  width: number;
  height: number;
  createTime: number;
  pinned: boolean;
  prompt: string;
  model: string;
  timestamp: number;
  category: string;
  tags: string[];
  parametersJson: string;
  /** Empty means none. */
  idempotencyKey: string;
  /** Hex sha256 over the bytes' sha256 and the metadata as sent. */
  fingerprint: string;
  /** Object stores only: tells our own object from another's. */
  nonce?: string;
}
