/** The record of an image: everything that a store keeps besides the bytes. */

/** The content of an image's record file. Times are ms since 1970. */
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
  /** Object stores only: distinguishes the object of this save from any other writer's. */
  nonce?: string;
}
