/** WebP, lossy, lossless, extended and animated: the chunks of its RIFF container. */
import { type Dimensions, damaged, dimensions, type Format, type Parser, skip, take } from './parser.ts';

const HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;
const PIXELS = new Set(['VP8 ', 'VP8L', 'ANMF']);

export const webp: Format = {
  contentType: 'image/webp',
  extension: 'webp',
  name: 'WebP',
  end: 'last chunk is complete',
  matches: (head) => head.toString('latin1', 0, 4) === 'RIFF' && head.toString('latin1', 8, 12) === 'WEBP',
  parse,
};

function* parse(): Parser {
  const header = yield take(HEADER_BYTES);
  let left = 8 + header.readUInt32LE(4) - HEADER_BYTES;
  let size: Dimensions | undefined;
  let hasPixels = false;
  while (left > 0) {
    const { type, length } = chunkHeader(yield take(CHUNK_HEADER_BYTES), left);
    left -= CHUNK_HEADER_BYTES + length;
    // Some writers leave out the padding of the last chunk.
    const padding = Math.min(length % 2, left);
    left -= padding;
    const head = yield take(size === undefined ? Math.min(length, 10) : 0);
    size ??= canvas(type, head);
    hasPixels ||= PIXELS.has(type);
    yield skip(length - head.length + padding);
  }
  if (size === undefined || !hasPixels) throw damaged('a WebP without pixels');
  return size;
}

function chunkHeader(bytes: Buffer, left: number): { type: string; length: number } {
  const length = bytes.readUInt32LE(4);
  if (CHUNK_HEADER_BYTES + length > left) throw damaged('a WebP chunk that reaches beyond its container');
  return { type: bytes.toString('latin1', 0, 4), length };
}

/** The dimensions of the whole image, from its first chunk. */
function canvas(type: string, head: Buffer): Dimensions {
  if (type === 'VP8X' && head.length === 10) {
    return dimensions(head.readUIntLE(4, 3) + 1, head.readUIntLE(7, 3) + 1);
  }
  if (type === 'VP8 ' && head.length === 10 && head.readUIntBE(3, 3) === 0x9d012a) {
    return dimensions(head.readUInt16LE(6) & 0x3fff, head.readUInt16LE(8) & 0x3fff);
  }
  if (type === 'VP8L' && head.length >= 5 && head[0] === 0x2f) {
    const packed = head.readUInt32LE(1);
    return dimensions((packed & 0x3fff) + 1, ((packed >>> 14) & 0x3fff) + 1);
  }
  throw damaged('a WebP that does not begin with an image');
}
