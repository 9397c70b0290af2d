/** Parses WebP, lossy, lossless, extended and animated: checks that its RIFF container is whole and holds an image. */
import { type Dimensions, dimensions, type Format, type Parser } from './parser.ts';
import { isRiff, walkRiff } from './riff.ts';
import { damaged, readInto } from './walk.ts';
import type { Watch } from './watch.ts';
import { FRAME_HEAD_BYTES, losslessSize, lossySize, mayEndInZeros, PIXEL_HEAD_BYTES } from './webp-pixels.ts';
import { mayBeUnwritten, ZeroTail } from './zero-tail.ts';

/** What is read of the first chunk, which contains the dimensions. */
const MAX_HEAD_BYTES = 10;
const METADATA = new Set(['EXIF', 'XMP ']);
const PIXELS = new Set(['VP8 ', 'VP8L', 'ANMF']);

export const webp: Format = {
  contentType: 'image/webp',
  extension: 'webp',
  name: 'WebP',
  end: 'last chunk is complete',
  matches: (head) => isRiff(head, 'WEBP'),
  parse,
};

function* parse(_position: () => number, watch?: Watch): Parser {
  const found: { size?: Dimensions; hasPixels?: boolean; isBare: boolean } = { isBare: true };
  yield* walkRiff(({ type, at, lengthBytes }) => {
    if (watch !== undefined && type === '\0\0\0\0') throw damaged('zeros where a WebP chunk must begin');
    const hasPixels = PIXELS.has(type);
    found.hasPixels ||= hasPixels;
    found.isBare &&= !METADATA.has(type);
    const isWatched = watch !== undefined && hasPixels && mayBeUnwritten(lengthBytes);
    if (found.size !== undefined && !isWatched) return undefined;
    const watchedBytes = type === 'ANMF' ? FRAME_HEAD_BYTES : PIXEL_HEAD_BYTES;
    const headBytes = Math.min(lengthBytes, isWatched ? watchedBytes : MAX_HEAD_BYTES);
    return readInto(at, headBytes, (head) => {
      found.size ??= canvas(type, head);
      if (!isWatched) return;
      const copy = Buffer.from(head);
      const isFlat = (zeros: number) => mayEndInZeros(type, copy, lengthBytes, zeros);
      watch.tap(at + headBytes, lengthBytes - headBytes, new ZeroTail(type.trim(), lengthBytes, isFlat));
    });
  });
  if (found.size === undefined || !found.hasPixels) throw damaged('a WebP without pixels');
  return { ...found.size, isBare: found.isBare };
}

/** Returns the dimensions of the whole image from its first chunk. */
function canvas(type: string, head: Buffer): Dimensions {
  if (type === 'VP8X' && head.length === MAX_HEAD_BYTES) {
    return dimensions(head.readUIntLE(4, 3) + 1, head.readUIntLE(7, 3) + 1);
  }
  const size = type === 'VP8 ' ? lossySize(head) : type === 'VP8L' ? losslessSize(head) : undefined;
  if (size === undefined) throw damaged('a WebP that does not begin with an image');
  return dimensions(size.width, size.height);
}
