/** An image as callers give and see it. Times are Dates; sizes are bytes. */

/** What the generator knows of an image. Text is valid UTF-8 without NUL. */
export interface ImageMetadata {
  /** At most 64 KiB of UTF-8; may be empty. */
  prompt: string;
  /** Kept verbatim; folders and filenames use its slug. At most 1 KiB. */
  model: string;
  /** When the image was generated, years 1970 to 9999, kept to the millisecond. Default: the time of the save. */
  timestamp?: Date;
  /** A free label of at most 256 bytes, matched exactly. */
  category?: string;
  /** Generation parameters. On reading: `parametersJson` parsed, integers beyond 2^53 as bigint. */
  parameters?: Record<string, unknown>;
  /** The parameters as one JSON object, kept byte for byte; wins over `parameters` when both are given. */
  parametersJson?: string;
  /** At most 64 labels of at most 256 bytes; repetitions are dropped. */
  tags?: string[];
}

/** An image as List and Get show it. */
export interface StorageItem {
  /** Where to fetch the bytes. */
  url: string;
  /** `{timestamp}_{model-slug}_{short-uuid}.{ext}`: the identity of the image within its provider, never reused. */
  filename: string;
  /** The absolute path of the file; local stores only. */
  path?: string;
  /** The full key, `outputs/images/generations/<YYYY-MM-DD>/<model-slug>/<filename>`. */
  key: string;
  size: number;
  storageType: string;
  /** The name of the provider. */
  provider: string;
  metadata: Required<ImageMetadata>;
  /** Lower-case hex. */
  sha256: string;
  contentType: string;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** When the store committed the image. */
  createTime: Date;
  /** Spared by cleanup. */
  pinned: boolean;
}

/** The answer to a save. */
export interface StorageResult extends StorageItem {
  /** True when the idempotency key had been saved before: the rest is the first result. */
  replayed: boolean;
}

/** An image and its bytes. */
export interface StoredImage {
  item: StorageItem;
  /**
   * Chunks of 256 KiB at most. Opens the file on first use and closes it at the end or on return. A whole read throws
   * BYTES_CORRUPT at its end when the sha256 differs. Readable once.
   */
  body: AsyncIterable<Uint8Array>;
}
