/**
 * That a file whose last part was never written is refused, and that flat, black and letterboxed pictures are not: coders
 * end some of them in zeros, too.
 */
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { ImageInspector } from '../../src/storage/formats/inspector.ts';
import { noise } from '../support/images.ts';
import { full } from '../support/scale.ts';

type Kind = (typeof KINDS)[number];
interface Encoding {
  name: string;
  encode(picture: Sharp): Sharp;
  /** The next ones are only made where all are wanted. */
  isSample?: boolean;
}

const KINDS = ['black', 'flat', 'letterboxed', 'flat below', 'black but a corner'] as const;
const lossy = (quality: number, effort = 4): Encoding => ({
  name: `WebP of quality ${quality}, effort ${effort}`,
  encode: (picture) => picture.webp({ quality, effort }),
});
const lossless = (effort: number): Encoding => ({
  name: `lossless WebP, effort ${effort}`,
  encode: (picture) => picture.webp({ lossless: true, effort }),
});
const jpeg = (quality: number, progressive = false): Encoding => ({
  name: `JPEG of quality ${quality}${progressive ? ', progressive' : ''}`,
  encode: (picture) => picture.jpeg({ quality, progressive, optimizeCoding: true }),
});
const png = (compressionLevel: number, options = {}): Encoding => ({
  name: `PNG of level ${compressionLevel} ${JSON.stringify(options)}`,
  encode: (picture) => picture.png({ compressionLevel, ...options }),
});
const avif = (quality: number): Encoding => ({
  name: `AVIF of quality ${quality}`,
  encode: (picture) => picture.avif({ quality, effort: 0 }),
});
const sample = (encoding: Encoding): Encoding => ({ ...encoding, isSample: true });

/** Forty, of five pictures: 200. */
const ENCODINGS: Encoding[] = [
  sample(lossy(100)),
  sample(lossy(75, 0)),
  sample(lossless(0)),
  sample(lossless(4)),
  sample(avif(50)),
  sample(png(9)),
  sample(jpeg(90)),
  ...[1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95].map((quality) => lossy(quality)),
  ...[20, 50, 90, 100].map((quality) => lossy(quality, 0)),
  lossy(90, 3),
  lossy(100, 2),
  ...[1, 2, 6].map(lossless),
  { name: 'nearly lossless WebP', encode: (picture) => picture.webp({ nearLossless: true }) },
  ...[1, 80].map(avif),
  { name: 'lossless AVIF', encode: (picture) => picture.avif({ lossless: true, effort: 0 }) },
  png(0),
  png(6, { adaptiveFiltering: true }),
  png(9, { palette: true }),
  jpeg(1),
  jpeg(100),
  jpeg(75, true),
  { name: 'GIF', encode: (picture) => picture.gif() },
  { name: 'GIF of two colours', encode: (picture) => picture.gif({ colours: 2 }) },
];

const SIZE = full ? { width: 1100, height: 1400 } : { width: 768, height: 768 };

it('all of them are 200', () => {
  expect(ENCODINGS.length * KINDS.length).toBe(200);
});

describe.each(KINDS)('a picture that is %s', (kind) => {
  it.each(ENCODINGS.filter(({ isSample }) => full || isSample))('is whole as $name', async ({ encode }) => {
    const bytes = await encode(pictureOf(kind)).toBuffer();
    expect(refusalOf(bytes)).toBeUndefined();
  });
});

interface Unwritten {
  name: string;
  encode(picture: Sharp): Sharp;
  cause: RegExp;
}

const UNWRITTEN: Unwritten[] = [
  { name: 'AVIF', encode: (picture) => picture.avif({ quality: 70, effort: 0 }), cause: /\(mdat\) are zeros/ },
  { name: 'lossy WebP', encode: (picture) => picture.webp({ quality: 80 }), cause: /\(VP8\) are zeros/ },
  { name: 'lossy WebP of low quality', encode: (picture) => picture.webp({ quality: 10 }), cause: /\(VP8\) are zeros/ },
  { name: 'lossless WebP', encode: (picture) => picture.webp({ lossless: true }), cause: /\(VP8L\) are zeros/ },
  { name: 'WebP with metadata', encode: (picture) => picture.webp().withMetadata(), cause: /\(VP8\) are zeros/ },
  { name: 'JPEG', encode: (picture) => picture.jpeg(), cause: /before its end-of-image marker/ },
  { name: 'PNG', encode: (picture) => picture.png(), cause: /CRC of the IDAT chunk/ },
  { name: 'GIF', encode: (picture) => picture.gif(), cause: /no GIF block where one must begin/ },
];

it.each(UNWRITTEN)('the last 30 % of a $name, replaced by zeros, are refused by their cause', async (unwritten) => {
  const bytes = await unwritten.encode(pictureOf('busy')).toBuffer();
  expect(refusalOf(bytes)).toBeUndefined();
  const zeroed = Buffer.from(bytes).fill(0, Math.floor(bytes.length * 0.7));
  for (const chunkBytes of [zeroed.length, 1000, 65_536]) {
    expect(refusalOf(zeroed, chunkBytes)).toMatchObject({ reason: 'IMAGE_TRUNCATED' });
    expect(refusalOf(zeroed, chunkBytes)?.message).toMatch(unwritten.cause);
  }
});

it.each([0.3, 0.5, 0.9])('an animated WebP of which %d are zeros is refused', async (share) => {
  const frames = ['busy', 'letterboxed', 'busy'] as const;
  const strip = Buffer.concat(
    await Promise.all(frames.map((kind) => pictureOf(kind).resize(300, 200).raw().toBuffer())),
  );
  const bytes = await sharp(strip, { raw: { width: 300, height: 600, channels: 3, pageHeight: 200 } })
    .webp({ quality: 95 })
    .toBuffer();
  expect(refusalOf(bytes)).toBeUndefined();
  expect(refusalOf(Buffer.from(bytes).fill(0, Math.floor(bytes.length * (1 - share))))).toMatchObject({
    reason: 'IMAGE_TRUNCATED',
  });
});

it('a small end of zeros is accepted', async () => {
  const bytes = await pictureOf('busy').avif({ quality: 70, effort: 0 }).toBuffer();
  expect(refusalOf(Buffer.from(bytes).fill(0, bytes.length - 1000))).toBeUndefined();
  expect(refusalOf(Buffer.from(bytes).fill(0, Math.ceil(bytes.length * 0.92)))).toBeUndefined();
});

/** `busy` is noise on soft waves. */
function pictureOf(kind: Kind | 'busy'): Sharp {
  const { width, height } = SIZE;
  const pixels = Buffer.alloc(width * height * 3, kind === 'flat' ? 0x93 : 0);
  const rowBytes = width * 3;
  const draw = (from: number, to: number) => {
    for (let y = Math.floor(from * height); y < to * height; y += 1) {
      const grain = noise(rowBytes, y + 1);
      for (let x = 0; x < rowBytes; x += 1) {
        pixels[y * rowBytes + x] = 128 + 60 * Math.sin(x / 170 + y / 40) + (grain[x]! >> 3);
      }
    }
  };
  if (kind === 'letterboxed') draw(0.15, 0.85);
  if (kind === 'flat below') draw(0, 0.3);
  if (kind === 'busy') draw(0, 1);
  if (kind === 'black but a corner') noise(300, 1).copy(pixels);
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

function refusalOf(bytes: Buffer, chunkBytes = bytes.length): Error | undefined {
  const inspector = new ImageInspector();
  try {
    for (let at = 0; at < bytes.length; at += chunkBytes) inspector.push(bytes.subarray(at, at + chunkBytes));
    inspector.finish();
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
