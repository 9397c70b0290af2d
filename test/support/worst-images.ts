/** The images of each format that cost their parser most: as many parts as fit into their bytes. */
import {
  avifOf,
  box,
  fullBox,
  gifOf,
  ispeOf,
  jpegOf,
  jpegSegment,
  pngChunk,
  pngOf,
  riff,
  riffChunk,
  uint16,
  vp8l,
} from './images.ts';

export interface WorstImage {
  format: string;
  /** What the image is full of. */
  of: string;
  bytes: Buffer;
}

const SIZE = { width: 8, height: 8 };
const EMPTY = Buffer.alloc(0);

/** Returns whole images of about that size. */
export function worstImages(sizeBytes: number): WorstImage[] {
  const filled = (part: Buffer | number[]) => repeated(Buffer.from(part), sizeBytes);
  const image = (format: string, of: string, bytes: Buffer) => ({ format, of, bytes });
  return [
    image('PNG', 'empty chunks', inPng(filled(pngChunk('tEXt', EMPTY)))),
    image('PNG', 'unknown chunks', inPng(filled(pngChunk('aaAa', EMPTY)))),
    image('PNG', 'empty IDATs', inPng(filled(pngChunk('IDAT', EMPTY)))),
    image('PNG', 'pixels of one byte', behindPixels(filled(pngChunk('IDAT', Buffer.from([0]))))),
    image('PNG', 'pixels of forty bytes', behindPixels(filled(pngChunk('IDAT', Buffer.alloc(40))))),
    image('PNG', 'frames', behindPixels(filled(pngChunk('fcTL', Buffer.alloc(26))))),
    image('JPEG', 'fill bytes', inJpeg(filled([0xff]))),
    image('JPEG', 'empty segments', inJpeg(filled(jpegSegment(0xe5, EMPTY)))),
    image('JPEG', 'frame headers', inJpeg(filled(jpegSegment(0xc0, Buffer.from([8, 0, 8, 0, 8, 0]))))),
    image('JPEG', 'restarts outside of data', inJpeg(filled([0xff, 0xd0]))),
    image('JPEG', 'stuffing', inScan(filled([0xff, 0x00]))),
    image('JPEG', 'stuffing far apart', inScan(filled([0xff, 0x00, ...Array(20).fill(1)]))),
    image('JPEG', 'restarts', inScan(filled([0xff, 0xd0]))),
    image('JPEG', 'empty scans', inScan(filled([0xff, 0xda, 0, 2]))),
    image('WebP', 'empty chunks', riff(riffChunk('VP8L', vp8l(SIZE)), filled(riffChunk('abcd', EMPTY)))),
    image('WebP', 'frames', riff(riffChunk('VP8L', vp8l(SIZE)), filled(riffChunk('ANMF', Buffer.alloc(1))))),
    image(
      'WebP',
      'frames that end in zeros',
      riff(riffChunk('VP8L', vp8l(SIZE)), filled(riffChunk('ANMF', Buffer.alloc(1026).fill(1, 0, 100)))),
    ),
    image(
      'GIF',
      'sub-blocks of one byte',
      inGif(Buffer.concat([Buffer.from([0x21, 0xfe]), filled([1, 0]), Buffer.from([0])])),
    ),
    image('GIF', 'empty extensions', inGif(filled([0x21, 0xfe, 0]))),
    image('GIF', 'empty images', inGif(filled([0x2c, 0, 0, 0, 0, 8, 0, 8, 0, 0, 2, 0]))),
    image('AVIF', 'empty boxes', Buffer.concat([avifOf(SIZE), filled(box('free'))])),
    image(
      'AVIF',
      'boxes of 64-bit size',
      Buffer.concat([avifOf(SIZE), filled([0, 0, 0, 1, ...Buffer.from('free'), 0, 0, 0, 0, 0, 0, 0, 16])]),
    ),
    image('AVIF', 'metas', Buffer.concat([FTYP, filled(fullBox('meta', box('iprp', box('ipco', ispeOf(8, 8)))))])),
    ...metas(sizeBytes).map(([of, bytes]) => image('AVIF', of, bytes)),
  ];
}

const FTYP = box('ftyp', Buffer.from('avif\0\0\0\0avifmif1miaf', 'latin1'));
/** The largest that a parser accepts. */
const META_BYTES = 1_000_000;

/** Metas as large as a parser accepts, one after the other. */
function metas(sizeBytes: number): [string, Buffer][] {
  const sized = box('iprp', box('ipco', ispeOf(8, 8)));
  const many = (part: Buffer) => repeated(part, META_BYTES);
  const oneByteExtents = (count: number) =>
    Buffer.concat([uint16(1), uint16(0), uint16(count), Buffer.alloc(count, 1)]);
  const ilocs = (items: Buffer[]) =>
    fullBox('iloc', Buffer.from([0x01, 0]), uint16(items.length), Buffer.concat(items));
  const bodies: [string, Buffer[]][] = [
    ['empty boxes in meta', [sized, many(box('free'))]],
    ['dimensions', [box('iprp', box('ipco', many(ispeOf(8, 8))))]],
    ['property containers', [sized, box('iprp', many(box('ipco')))]],
    ['locations', [sized, many(ilocs([]))]],
    ['items', [sized, ilocs(Array(65_535).fill(Buffer.concat([uint16(1), uint16(0), uint16(0)])))]],
    ['extents', [sized, ...Array(15).fill(ilocs([oneByteExtents(65_535)]))]],
  ];
  return bodies.map(([of, body]) => {
    const meta = fullBox('meta', ...body);
    return [`${of}`, Buffer.concat([FTYP, ...Array(Math.max(1, Math.round(sizeBytes / meta.length))).fill(meta)])];
  });
}

function inPng(parts: Buffer): Buffer {
  const png = pngOf(SIZE);
  return Buffer.concat([png.subarray(0, 33), parts, png.subarray(33)]);
}

function behindPixels(parts: Buffer): Buffer {
  const png = pngOf(SIZE);
  return Buffer.concat([png.subarray(0, -12), parts, png.subarray(-12)]);
}

function inJpeg(parts: Buffer): Buffer {
  const jpeg = jpegOf(SIZE);
  return Buffer.concat([jpeg.subarray(0, 2), parts, jpeg.subarray(2)]);
}

/** Behind the entropy-coded data, which continues. */
function inScan(data: Buffer): Buffer {
  const jpeg = jpegOf(SIZE);
  return Buffer.concat([jpeg.subarray(0, -2), data, jpeg.subarray(-2)]);
}

function inGif(blocks: Buffer): Buffer {
  const gif = gifOf(SIZE);
  return Buffer.concat([gif.subarray(0, 19), blocks, gif.subarray(19)]);
}

function repeated(part: Buffer, sizeBytes: number): Buffer {
  return Buffer.alloc(Math.floor(sizeBytes / part.length) * part.length, part);
}
