/** The blocks of metadata that an image file carries beside its pixels. */

export interface Blocks {
  /** Begins with the byte order of a TIFF. */
  exif?: Buffer;
  /** XML. */
  xmp?: Buffer;
  /** The comment of a JPEG or a GIF. */
  comment?: Buffer;
  /** The texts of a PNG by keyword. */
  texts?: Map<string, string>;
}

/** Larger blocks exceed the metadata that a save accepts. */
export const MAX_BLOCK_BYTES = 2 * 1024 * 1024;

const EXIF_PREFIX = Buffer.from('Exif\0\0', 'latin1');

export function startsWith(bytes: Buffer, prefix: Buffer): boolean {
  return bytes.subarray(0, prefix.length).equals(prefix);
}

export function isExif(segment: Buffer): boolean {
  return startsWith(segment, EXIF_PREFIX);
}

/** JPEG has a prefix before every EXIF, which some writers put into other containers, too. */
export function withoutPrefix(exif: Buffer): Buffer {
  return isExif(exif) ? exif.subarray(EXIF_PREFIX.length) : exif;
}
