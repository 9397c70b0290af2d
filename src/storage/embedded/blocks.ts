/** Finds the blocks of metadata in an image of any type, anywhere in the file. */
import { gif } from '../formats/gif.ts';
import { isIsobmff } from '../formats/isobmff.ts';
import { APP1, COM, jpeg, SOS, walkJpeg } from '../formats/jpeg.ts';
import { png } from '../formats/png.ts';
import { walkRiff } from '../formats/riff.ts';
import { webp } from '../formats/webp.ts';
import { findAvifBlocks } from './avif-blocks.ts';
import { readGifComment } from './gif-comment.ts';
import { type Blocks, isExif, MAX_BLOCK_BYTES, startsWith, withoutPrefix } from './metadata-blocks.ts';
import { partsOf } from './parts.ts';
import { readPng } from './png-text.ts';
import type { ReadAt } from './read-at.ts';

/** The most segments before the pixels, and the most of these to read; cameras write some 30, with one of either block. */
const MAX_PARTS = 2000;
const MAX_SEGMENTS = 64;
const XMP_PREFIX = Buffer.from('http://ns.adobe.com/xap/1.0/\0', 'latin1');
const TIFF = /^(II\*\0|MM\0\*)/;
/** Enough to detect the type. */
const TYPE_BYTES = 12;

/** Returns no blocks for other types. */
export async function findBlocks(readAt: ReadAt): Promise<Blocks> {
  const head = await readAt(0, TYPE_BYTES);
  if (png.matches(head)) return readPng(readAt);
  if (jpeg.matches(head)) return findJpegBlocks(readAt);
  if (webp.matches(head)) return findWebpBlocks(readAt);
  if (gif.matches(head)) return { comment: await readGifComment(readAt) };
  return isIsobmff(head) ? findAvifBlocks(readAt) : {};
}

/** Reads the segments before the pixels. */
async function findJpegBlocks(readAt: ReadAt): Promise<Blocks> {
  const blocks: Blocks = {};
  let left = MAX_SEGMENTS;
  for await (const { type: code, at, lengthBytes } of partsOf(readAt, walkJpeg, MAX_PARTS)) {
    if (code === SOS || left === 0) break;
    if (code !== APP1 && code !== COM) continue;
    left -= 1;
    const body = await readAt(at, lengthBytes);
    if (code === COM) blocks.comment ??= body;
    else if (isExif(body)) blocks.exif = withMore(blocks.exif, withoutPrefix(body));
    else if (startsWith(body, XMP_PREFIX)) blocks.xmp ??= body.subarray(XMP_PREFIX.length);
  }
  return blocks;
}

/** A segment holds 64 KiB: ImageSharp continues a longer EXIF in the next. */
function withMore(exif: Buffer | undefined, more: Buffer): Buffer {
  if (exif === undefined) return more;
  return TIFF.test(more.toString('latin1', 0, 4)) ? exif : Buffer.concat([exif, more]);
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
