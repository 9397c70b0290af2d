/** How large an image may be to be decoded: by its format, so that none takes more memory than the process may have. */
import type { Metadata } from 'sharp';

const MEGA = 1_000_000;
/** Decoded row by row, or reduced while they are read. */
const MAX_PIXELS = 100 * MEGA;
/** Held whole until the last row is known. */
const MAX_HELD_PIXELS = 40 * MEGA;
const MAX_HELD_BYTES = 250 * MEGA;
const MAX_LOSSLESS_WEBP_PIXELS = 50 * MEGA;
const MAX_AVIF_PIXELS = 12 * MEGA;
const MAX_DEEP_AVIF_PIXELS = 6 * MEGA;
/** Of an interlaced PNG: its rows, and what is passed on of them. */
const PNG_COPIES = 1.3;
/** Of a progressive JPEG. */
const COEFFICIENT_BYTES = 2;
/** Of a lossless WebP or a frame of an animated one, and of a frame of a GIF; measured. */
const WEBP_BYTES = 4.3;
const GIF_BYTES = 6;

/** Components for each pixel, by how chroma is subsampled. */
const COMPONENTS: Readonly<Record<string, number>> = { '4:2:0': 1.5, '4:2:2': 2, '4:4:0': 2, '4:1:1': 1.5 };

/**
 * Returns what is wrong with the size of an image; undefined: it may be decoded. `head`: its first bytes; `inMemory`: how
 * many of them are held.
 */
export function excessOf(metadata: Metadata, head: Buffer, inMemory: number): string | undefined {
  const { width, height } = metadata;
  const [most, heldBytes] = capsOf(metadata, head);
  const pixels = width * height;
  if (pixels > most) return `${width} × ${height} pixels, at most ${most / MEGA} million of its format`;
  if (pixels * heldBytes + inMemory > MAX_HELD_BYTES) return `${width} × ${height} pixels would take too much memory`;
  return undefined;
}

/** Returns the most pixels, and the bytes that one of them takes until all are read. */
function capsOf(metadata: Metadata, head: Buffer): [mostPixels: number, heldBytes: number] {
  const { format, isProgressive, channels, depth, chromaSubsampling = '', bitsPerSample = 8, pages = 1 } = metadata;
  if (format === 'heif') return [bitsPerSample > 8 ? MAX_DEEP_AVIF_PIXELS : MAX_AVIF_PIXELS, 0];
  if (format === 'gif') return [MAX_HELD_PIXELS, GIF_BYTES];
  if (format === 'webp')
    return pages > 1 || isLossless(head) ? [MAX_LOSSLESS_WEBP_PIXELS, WEBP_BYTES] : [MAX_PIXELS, 0];
  if (!isProgressive) return [MAX_PIXELS, 0];
  if (format === 'jpeg') return [MAX_HELD_PIXELS, COEFFICIENT_BYTES * (COMPONENTS[chromaSubsampling] ?? channels)];
  return [MAX_HELD_PIXELS, channels * (depth === 'ushort' ? 2 : 1) * PNG_COPIES];
}

/** A lossless picture has its own kind of chunk; see developers.google.com/speed/webp/docs/riff_container. */
function isLossless(head: Buffer): boolean {
  return head.includes('VP8L');
}
