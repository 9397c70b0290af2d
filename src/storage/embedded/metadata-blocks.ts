/** The blocks of metadata that an image file carries beside its pixels. */

export interface Blocks {
  /** Begins with the byte order of a TIFF. */
  exif?: Buffer;
  /** XML. */
  xmp?: Buffer;
}

/** Larger blocks exceed the metadata that a save accepts. */
export const MAX_BLOCK_BYTES = 2 * 1024 * 1024;
