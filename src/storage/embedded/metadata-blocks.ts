/** The blocks of metadata that an image file carries beside its pixels. */

export interface Blocks {
  /** What begins with the byte order of a TIFF. */
  exif?: Buffer;
  /** XML. */
  xmp?: Buffer;
}

/** Larger ones are no metadata that a save could keep. */
export const MAX_BLOCK_BYTES = 2 * 1024 * 1024;
