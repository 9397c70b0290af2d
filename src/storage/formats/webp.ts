/** Parses WebP, lossy, lossless, extended and animated: checks that its RIFF container is whole and holds an image. */
import { type Dimensions, dimensions, type Format, type Parser } from './parser.ts';
import { isRiff, walkRiff } from './riff.ts';
import { damaged, readInto } from './walk.ts';

/** The beginning of the first chunk, which contains the dimensions. */
const MAX_HEAD_BYTES = 10;
const PIXELS = new Set(['VP8 ', 'VP8L', 'ANMF']);

export const webp: Format = {
  contentType: 'image/webp',
  extension: 'webp',
  name: 'WebP',
  end: 'last chunk is complete',
  matches: (head) => isRiff(head, 'WEBP'),
  parse,
};

function* parse(): Parser {
  const found: { size?: Dimensions; hasPixels?: boolean } = {};
  yield* walkRiff(({ type, at, lengthBytes }) => {
    found.hasPixels ||= PIXELS.has(type);
    if (found.size !== undefined) return undefined;
    return readInto(at, Math.min(lengthBytes, MAX_HEAD_BYTES), (head) => {
      found.size = canvas(type, head);
    });
  });
  if (found.size === undefined || !found.hasPixels) throw damaged('a WebP without pixels');
  return found.size;
}

/** Returns the dimensions of the whole image from its first chunk. */
function canvas(type: string, head: Buffer): Dimensions {
  if (type === 'VP8X' && head.length === MAX_HEAD_BYTES) {
    return dimensions(head.readUIntLE(4, 3) + 1, head.readUIntLE(7, 3) + 1);
  }
  if (type === 'VP8 ' && head.length === MAX_HEAD_BYTES && head.readUIntBE(3, 3) === 0x9d012a) {
    return dimensions(head.readUInt16LE(6) & 0x3fff, head.readUInt16LE(8) & 0x3fff);
  }
  if (type === 'VP8L' && head.length >= 5 && head[0] === 0x2f) {
    const packed = head.readUInt32LE(1);
    return dimensions((packed & 0x3fff) + 1, ((packed >>> 14) & 0x3fff) + 1);
  }
  throw damaged('a WebP that does not begin with an image');
}
