/** Finds the EXIF and the XMP of a JPEG, WebP or AVIF, anywhere in the file. */
import { isIsobmff } from '../formats/isobmff.ts';
import { jpeg, SOS, walkJpeg } from '../formats/jpeg.ts';
import { walkRiff } from '../formats/riff.ts';
import { webp } from '../formats/webp.ts';
import { findAvifBlocks } from './avif-blocks.ts';
import { type Blocks, MAX_BLOCK_BYTES } from './metadata-blocks.ts';
import { partsOf } from './parts.ts';
import type { ReadAt } from './read-at.ts';

const APP1 = 0xe1;
const EXIF_PREFIX = Buffer.from('Exif\0\0', 'latin1');
/** The most segments before the pixels, and the most of these to read; cameras write some 30, with one of either block. */
const MAX_PARTS = 2000;
const MAX_SEGMENTS = 64;
const XMP_PREFIX = Buffer.from('http://ns.adobe.com/xap/1.0/\0', 'latin1');

/** Returns no blocks for other types. `head` is the beginning of the file. */
export async function findBlocks(readAt: ReadAt, head: Buffer): Promise<Blocks> {
  if (jpeg.matches(head)) return findJpegBlocks(readAt);
  if (webp.matches(head)) return findWebpBlocks(readAt);
  return isIsobmff(head) ? findAvifBlocks(readAt) : {};
}

/** Reads the segments before the pixels. */
async function findJpegBlocks(readAt: ReadAt): Promise<Blocks> {
  const blocks: Blocks = {};
  let left = MAX_SEGMENTS;
  for await (const { type: code, at, lengthBytes } of partsOf(readAt, walkJpeg, MAX_PARTS)) {
    if (code === SOS || left === 0 || (blocks.exif && blocks.xmp)) break;
    if (code !== APP1) continue;
    left -= 1;
    const body = await readAt(at, lengthBytes);
    if (startsWith(body, EXIF_PREFIX)) blocks.exif ??= body.subarray(EXIF_PREFIX.length);
    if (startsWith(body, XMP_PREFIX)) blocks.xmp ??= body.subarray(XMP_PREFIX.length);
  }
  return blocks;
}

/** Reads all chunks, since metadata follows the pixels. */
async function findWebpBlocks(readAt: ReadAt): Promise<Blocks> {
  const blocks: Blocks = {};
  for await (const { type, at, lengthBytes } of partsOf(readAt, walkRiff)) {
    if (lengthBytes > MAX_BLOCK_BYTES) continue;
    if (type === 'EXIF') blocks.exif ??= withoutPrefix(await readAt(at, lengthBytes));
    if (type === 'XMP ') blocks.xmp ??= await readAt(at, lengthBytes);
  }
  return blocks;
}

/** Some writers put JPEG's prefix before every EXIF. */
function withoutPrefix(exif: Buffer): Buffer {
  return startsWith(exif, EXIF_PREFIX) ? exif.subarray(EXIF_PREFIX.length) : exif;
}

function startsWith(bytes: Buffer, prefix: Buffer): boolean {
  return bytes.subarray(0, prefix.length).equals(prefix);
}
