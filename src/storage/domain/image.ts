/** An image as callers save and read it. Times are Dates; sizes are bytes. */

/** Metadata from the generator of an image. Text is valid UTF-8 without NUL. */
export interface ImageMetadata {
  /** At most 64 KiB of UTF-8; may be empty. */
  prompt: string;
  /** Stored verbatim; folders and filenames use its slug. At most 1 KiB. */
  model: string;
  /** When the image was generated: years 1970 to 9999, stored in milliseconds. Default: the time of the save. */
  timestamp?: Date;
  /** A free label of at most 256 bytes, matched exactly. */
  category?: string;
  /** Generation parameters. In results: the parsed `parametersJson`, with integers beyond 2^53 as bigint. */
  parameters?: Record<string, unknown>;
  /** The parameters as one JSON object, stored byte for byte; takes precedence over `parameters`. */
  parametersJson?: string;
  /** At most 64 labels of at most 256 bytes; duplicates are dropped. */
  tags?: string[];
}

/**
 * The settings of a generation in one vocabulary for all generators: derived from the parameters, never stored with the
 * image. A field that the parameters do not name is unset.
 */
export interface Generation {
  negativePrompt?: string;
  /** As it was written, so that one of 64 bits stays exact. */
  seed?: string;
  steps?: number;
  /** The guidance scale. */
  cfg?: number;
  /** As the generator names it. */
  sampler?: string;
  /** As the generator names it. */
  scheduler?: string;
  /** Names without folders and extension; unset where there are none. */
  loras?: string[];
  /** Pixels as asked for, which an upscaler may have changed. */
  width?: number;
  /** Pixels as asked for. */
  height?: number;
}

/** An image as `list` and `get` return it. */
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
  /** True: cleanup never deletes the image. */
  pinned: boolean;
  /** Unset where the parameters name no setting. */
  generation?: Generation;
  /**
   * A blurred picture of about 25 bytes, see evanw.github.io/thumbhash; empty where the image cannot be decoded, unset
   * until it was tried.
   */
  thumbHash?: Uint8Array;
  /** When the image goes as by a cleanup, unless it is pinned; unset: never. */
  expireTime?: Date;
  /** When the image was deleted; set only in lists of the trash. */
  deleteTime?: Date;
  /** Until when the image can be brought back; set only in lists of the trash. */
  purgeTime?: Date;
}

/** The result of a save. */
export interface StorageResult extends StorageItem {
  /** True when the idempotency key was used before; the item is then the first result. */
  replayed: boolean;
  /** True when replayed, and the image was deleted since. */
  deleted: boolean;
}

/** An image and its bytes. */
export interface StoredImage {
  item: StorageItem;
  /**
   * The bytes in chunks of at most 256 KiB; can be read once. Opens the file on first use, and closes it at the end or
   * when the reader returns early. Throws BYTES_MISSING or BYTES_CORRUPT; a whole read compares the sha256 at its end.
   */
  body: AsyncIterable<Uint8Array>;
  /** Reads the body at once, instead of in chunks; only where it is a single one. Rejects as `body` throws before its end. */
  atOnce?: () => Promise<SingleChunk>;
}

/** All bytes of a body, and what it would throw behind them. */
export interface SingleChunk {
  bytes: Uint8Array;
  failure?: Error;
}
