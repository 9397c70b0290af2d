/** Finds the EXIF and the XMP of a JPEG, WebP or AVIF, wherever in the file they lie. */
import { findAvifBlocks } from './avif-blocks.ts';
import { type Blocks, MAX_BLOCK_BYTES } from './metadata-blocks.ts';
import type { ReadAt } from './read-at.ts';

/** Where a file of ever so many small parts is given up. */
const MAX_PARTS = 20_000;
const EXIF_PREFIX = Buffer.from('Exif\0\0', 'latin1');
const XMP_PREFIX = Buffer.from('http://ns.adobe.com/xap/1.0/\0', 'latin1');

/** Empty for other types. Rejects where the structure is broken. */
export async function findBlocks(readAt: ReadAt): Promise<Blocks> {
  const start = await readAt(0, 12);
  if (start.readUInt16BE(0) === 0xffd8) return findJpegBlocks(readAt);
  const signature = start.toString('latin1');
  if (/^RIFF....WEBP/s.test(signature)) return findWebpBlocks(readAt);
  return /^....ftyp/s.test(signature) ? findAvifBlocks(readAt) : {};
}

/** Segments up to the one where the pixels begin. */
async function findJpegBlocks(readAt: ReadAt): Promise<Blocks> {
  const blocks: Blocks = {};
  let at = 2;
  for (let part = 0; part < MAX_PARTS; part += 1) {
    const header = await readAt(at, 4);
    const code = header.length === 4 && header[0] === 0xff ? header[1]! : START_OF_SCAN;
    if (code === START_OF_SCAN) break;
    const bodyBytes = header.readUInt16BE(2) - 2;
    if (code === APP1) {
      const body = await readAt(at + 4, bodyBytes);
      if (startsWith(body, EXIF_PREFIX)) blocks.exif ??= body.subarray(EXIF_PREFIX.length);
      if (startsWith(body, XMP_PREFIX)) blocks.xmp ??= body.subarray(XMP_PREFIX.length);
    }
    at += 4 + bodyBytes;
  }
  return blocks;
}

const APP1 = 0xe1;
const START_OF_SCAN = 0xda;

/** Chunks; metadata stands behind the pixels. */
async function findWebpBlocks(readAt: ReadAt): Promise<Blocks> {
  const blocks: Blocks = {};
  let at = 12;
  for (let part = 0; part < MAX_PARTS; part += 1) {
    const header = await readAt(at, 8);
    if (header.length < 8) break;
    const type = header.toString('latin1', 0, 4);
    const bodyBytes = header.readUInt32LE(4);
    if (bodyBytes <= MAX_BLOCK_BYTES) {
      if (type === 'EXIF') blocks.exif ??= withoutPrefix(await readAt(at + 8, bodyBytes));
      if (type === 'XMP ') blocks.xmp ??= await readAt(at + 8, bodyBytes);
    }
    at += 8 + bodyBytes + (bodyBytes % 2);
  }
  return blocks;
}

/** Some writers put the prefix that JPEG wants before every EXIF. */
function withoutPrefix(exif: Buffer): Buffer {
  return startsWith(exif, EXIF_PREFIX) ? exif.subarray(EXIF_PREFIX.length) : exif;
}

function startsWith(bytes: Buffer, prefix: Buffer): boolean {
  return bytes.subarray(0, prefix.length).equals(prefix);
}
