/** The record of an image: everything that a store keeps besides the bytes. */

import type { Generation } from './image.ts';

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
  /** How often an Update changed pin, tags or category; unset: never. */
  revision?: number;
  /** When the image goes by itself unless it is pinned; unset: never. */
  expireTime?: number;
  /** Object stores only: distinguishes the object of this save from any other writer's. */
  nonce?: string;
  /** Object stores only, and not in a catalog: the nonce of the last delete that the image was brought back from. */
  restoredFrom?: string;
}

/** A record as a catalog returns it. */
export interface StoredRecord extends ImageRecord {
  /** Derived from prompt and parameters, and no part of record files; unset where they name nothing. */
  generation?: Generation;
  /** Derived from the pixels, base64, and no part of record files; empty where they cannot be decoded, unset: not tried. */
  thumbHash?: string;
}

/** What the audit log has of an image. */
export type LoggedImage = Pick<
  ImageRecord,
  'filename' | 'model' | 'size' | 'sha256' | 'idempotencyKey' | 'fingerprint'
>;

/** When an image came into the trash, and when it is purged; ms since 1970. */
export interface TrashTimes {
  deleteTime: number;
  purgeTime: number;
}

/** An image in the trash. */
export interface TrashedRecord extends StoredRecord, TrashTimes {}

/** Returns what the store keeps of the image. */
export function bareRecord({ generation: _, thumbHash: __, ...record }: StoredRecord): ImageRecord {
  return record;
}
