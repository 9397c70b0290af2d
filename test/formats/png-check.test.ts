/** What a PNG must say of itself to be whole, chunk by chunk, and how its pixels are decompressed where that is asked for. */
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { ImageCheck } from '../../src/storage/domain/config.ts';
import type { StorageError } from '../../src/storage/domain/errors.ts';
import { type ImageFormat, ImageInspector } from '../../src/storage/formats/inspector.ts';
import { noise, pngChunk, pngOf, sharedImages, uint32 } from '../support/images.ts';

const SIGNATURE = pngOf({ width: 1, height: 1 }).subarray(0, 8);
const END = pngChunk('IEND', Buffer.alloc(0));
const size = { width: 67, height: 45 };
const whole = pngOf({ ...size, text: { parameters: 'a fox in the snow' } });

/** The values of IHDR behind width and height; 8-bit RGB. */
const RGB = [8, 2, 0, 0, 0];

function ihdr(width: number, height: number, values = RGB): Buffer {
  return pngChunk('IHDR', Buffer.concat([uint32(width), uint32(height), Buffer.from(values)]));
}

function png(...chunks: Buffer[]): Buffer {
  return Buffer.concat([SIGNATURE, ...chunks, END]);
}

function rows(width: number, height: number, bytesPerPixel = 3): Buffer {
  return Buffer.alloc((1 + width * bytesPerPixel) * height);
}

function idat(pixels: Buffer): Buffer {
  return pngChunk('IDAT', deflateSync(pixels));
}

/** The file with one bit of that chunk's body changed, or of its CRC where it has no body. */
function damagedIn(bytes: Buffer, type: string): { bytes: Buffer; at: number } {
  const damaged = Buffer.from(bytes);
  const at = bytes.indexOf(type) - 4;
  damaged[at + 8]! ^= 1;
  return { bytes: damaged, at };
}

describe('a wrong CRC', () => {
  const frame = Buffer.concat([uint32(1), deflateSync(rows(2, 2))]);
  const animated = png(
    ihdr(2, 2, [8, 3, 0, 0, 0]),
    pngChunk('PLTE', Buffer.alloc(6)),
    pngChunk('acTL', Buffer.concat([uint32(1), uint32(0)])),
    idat(rows(2, 2, 1)),
    pngChunk('fcTL', noise(26, 1)),
    pngChunk('fdAT', frame),
    pngChunk('tEXt', Buffer.from('parameters\0a fox')),
    pngChunk('zTXt', Buffer.from('parameters\0\0nothing')),
    pngChunk('iTXt', Buffer.from('parameters\0\0\0\0\0a fox')),
    pngChunk('eXIf', Buffer.from('II*\0')),
  );

  it.each(['PLTE', 'IDAT', 'IEND', 'fcTL', 'fdAT'])('in %s is named, with the place of the chunk', (type) => {
    const { bytes, at } = damagedIn(animated, type);
    const error = refusalOf(bytes);
    expect(error.reason).toBe('IMAGE_TRUNCATED');
    expect(error.message).toBe(`damaged: the CRC of the ${type} chunk at byte ${at} does not match`);
  });

  it('in IHDR is named although the size still makes sense', () => {
    const bytes = Buffer.from(animated);
    bytes[19]! = 7;
    expect(refusalOf(bytes).message).toBe('damaged: the CRC of the IHDR chunk at byte 8 does not match');
  });

  it.each(['tEXt', 'zTXt', 'iTXt', 'eXIf', 'acTL'])('in %s is no refusal', (type) => {
    expect(inspect(damagedIn(animated, type).bytes)).toMatchObject({ width: 2, height: 2 });
  });

  it('in pixels that come in many chunks is found in any of them', () => {
    const pixels = deflateSync(noise(20_000, 1), { level: 0 });
    const pieces = Array.from({ length: 20 }, (_, at) =>
      pixels.subarray(at * 1000, at === 19 ? undefined : at * 1000 + 1000),
    );
    const bytes = png(ihdr(83, 80), ...pieces.map((piece) => pngChunk('IDAT', piece)));
    for (let at = 33; at < bytes.length - 12; at += 977) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 4;
      expect(refusalOf(damaged).reason, `at ${at}`).toBe('IMAGE_TRUNCATED');
    }
    expect(inspect(bytes)).toMatchObject({ width: 83, height: 80 });
  });

  it('is nothing where only the ends are checked', () => {
    for (const type of ['PLTE', 'IDAT', 'fdAT']) {
      expect(inspect(damagedIn(animated, type).bytes, 'ends')).toMatchObject({ width: 2, height: 2 });
    }
  });
});

describe('a header', () => {
  it.each([
    [[8, 1, 0, 0, 0], 'colour type 1'],
    [[8, 7, 0, 0, 0], 'colour type 7'],
    [[4, 2, 0, 0, 0], '4 bits for colour type 2'],
    [[16, 3, 0, 0, 0], '16 bits for colour type 3'],
    [[3, 0, 0, 0, 0], '3 bits for colour type 0'],
    [[8, 2, 1, 0, 0], 'compression method 1'],
    [[8, 2, 0, 1, 0], 'filter method 1'],
    [[8, 2, 0, 0, 2], 'interlace method 2'],
  ])('of %j is refused by its cause', (values, cause) => {
    expect(refusalOf(png(ihdr(2, 2, values), idat(rows(2, 2)))).message).toBe(
      `damaged: the header of the PNG (IHDR) says ${cause}`,
    );
  });

  it('of more pixels than a side may have is refused', () => {
    expect(refusalOf(png(ihdr(2 ** 31, 2), idat(rows(2, 2)))).message).toContain('2147483648 × 2 pixels');
  });

  it.each([
    [1, 0],
    [2, 0],
    [4, 0],
    [8, 0],
    [16, 0],
    [8, 2],
    [16, 2],
    [8, 4],
    [16, 4],
    [8, 6],
    [16, 6],
  ])('of %i bits and colour type %i is accepted', (bitDepth, colorType) => {
    expect(inspect(png(ihdr(2, 2, [bitDepth, colorType, 0, 0, 1]), idat(rows(2, 2))))).toMatchObject({ width: 2 });
  });
});

describe('a palette', () => {
  const indexed = ihdr(2, 2, [8, 3, 0, 0, 0]);

  it.each([
    ['that is missing', [], 'without a palette'],
    ['behind the pixels', [idat(rows(2, 2, 1)), pngChunk('PLTE', Buffer.alloc(6))], 'without a palette'],
    ['of four bytes', [pngChunk('PLTE', Buffer.alloc(4))], '4 bytes'],
    ['of 257 colours', [pngChunk('PLTE', Buffer.alloc(771))], '771 bytes'],
  ])('%s is refused', (_name, chunks, message) => {
    expect(refusalOf(png(indexed, ...chunks, idat(rows(2, 2, 1)))).message).toContain(message);
  });
});

describe('pixels', () => {
  const header = ihdr(2, 2);

  it.each([
    ['that are no zlib data', Buffer.from([0, 0, 1, 2, 3])],
    ['with a window of 64 KiB', Buffer.from([0x88, 0x1c, 0])],
    ['with a dictionary', Buffer.from([0x78, 0xbb, 0])],
    ['with a wrong check of their header', Buffer.from([0x78, 0x9d, 0])],
    ['of one byte', Buffer.from([0x78])],
  ])('%s are refused', (_name, pixels) => {
    expect(refusalOf(png(header, pngChunk('IDAT', pixels))).message).toBe(
      'damaged: the pixels (IDAT) do not begin as zlib data does',
    );
  });

  it('may have their zlib header in two chunks', () => {
    const pixels = deflateSync(rows(2, 2));
    const bytes = png(
      header,
      ...[[0, 1], [1, 2], [2]].map(([from, to]) => pngChunk('IDAT', pixels.subarray(from, to))),
    );
    expect(inspect(bytes)).toMatchObject({ width: 2, height: 2 });
  });

  it.each([0, 1, 6, 9])('at level %i of zlib are accepted', (level) => {
    expect(inspect(png(header, pngChunk('IDAT', deflateSync(rows(2, 2), { level }))))).toMatchObject({ width: 2 });
  });
});

describe('where pixels are decompressed', () => {
  const fcTL = (width: number, height: number) =>
    pngChunk('fcTL', Buffer.concat([uint32(0), uint32(width), uint32(height), Buffer.alloc(14)]));
  const fdAT = (pixels: Buffer) => pngChunk('fdAT', Buffer.concat([uint32(1), pixels]));
  const large = pngOf({ width: 700, height: 500, seed: 3 });

  it.each(sharedImages())('$name is whole', async ({ bytes }) => {
    expect(await inspectPixels(bytes, 65_536)).toEqual(inspect(bytes));
  });

  it.each([
    ['8-bit RGB', whole],
    ['a large one', large],
    ['one bit a pixel', png(ihdr(9, 3, [1, 0, 0, 0, 0]), idat(Buffer.alloc(3 * 3)))],
    ['16-bit RGBA', png(ihdr(3, 2, [16, 6, 0, 0, 0]), idat(Buffer.alloc(2 * 25)))],
    // Passes of 1×1, 1×1, none, 1×1, 3×1, 2×2 and 5×2 pixels, in rows of 1 + 3 × width bytes.
    ['interlaced', png(ihdr(5, 4, [8, 2, 0, 0, 1]), idat(Buffer.alloc(4 + 4 + 4 + 10 + 14 + 32)))],
    ['animated', png(ihdr(2, 2), fcTL(2, 2), idat(rows(2, 2)), fcTL(1, 2), fdAT(deflateSync(rows(1, 2))))],
    [
      'animated, a frame in two pieces',
      png(
        ihdr(2, 2),
        idat(rows(2, 2)),
        fcTL(1, 1),
        fdAT(deflateSync(rows(1, 1)).subarray(0, 3)),
        fdAT(deflateSync(rows(1, 1)).subarray(3)),
      ),
    ],
    [
      'with bytes behind the zlib data',
      png(ihdr(2, 2), pngChunk('IDAT', Buffer.concat([deflateSync(rows(2, 2)), noise(900, 1)]))),
    ],
  ])('%s is whole, in chunks of any size', async (_name, bytes) => {
    for (const chunkBytes of [bytes.length, 7, 1])
      expect(await inspectPixels(bytes, chunkBytes)).toEqual(inspect(bytes));
  });

  it.each([
    ['too few rows', png(ihdr(2, 3), idat(rows(2, 2))), /decompress to 14 bytes instead of 21/],
    ['too many rows', png(ihdr(2, 2), idat(rows(2, 3))), /more than the 14 bytes/],
    [
      'zlib data without its end',
      png(ihdr(2, 2), pngChunk('IDAT', deflateSync(rows(2, 2)).subarray(0, -5))),
      /do not decompress \(unexpected end/,
    ],
    [
      'a wrong checksum of its pixels',
      png(ihdr(2, 2), pngChunk('IDAT', Buffer.concat([deflateSync(rows(2, 2)).subarray(0, -4), uint32(7)]))),
      /do not decompress \(incorrect data check/,
    ],
    [
      'nonsense for deflate',
      png(ihdr(2, 2), pngChunk('IDAT', Buffer.from([0x78, 0x9c, 0xff, 0xff]))),
      /do not decompress/,
    ],
    ['a short frame', png(ihdr(2, 2), idat(rows(2, 2)), fcTL(2, 2), fdAT(deflateSync(rows(1, 2)))), /instead of 14/],
    [
      'a frame without a header',
      png(ihdr(2, 2), idat(rows(2, 2)), fdAT(deflateSync(rows(2, 2)))),
      /without its header/,
    ],
  ])('a PNG with %s is refused', async (_name, bytes, message) => {
    for (const chunkBytes of [bytes.length, 5]) {
      await expect(inspectPixels(bytes, chunkBytes)).rejects.toThrow(message);
      await expect(inspectPixels(bytes, chunkBytes)).rejects.toMatchObject({ reason: 'IMAGE_TRUNCATED' });
    }
  });

  it('a picture of 60,000 × 60,000 in a few bytes costs only what these decompress to', async () => {
    const bomb = png(ihdr(60_000, 60_000, [8, 0, 0, 0, 0]), idat(Buffer.alloc(1024 * 1024)));
    expect(bomb.length).toBeLessThan(2000);
    await expect(inspectPixels(bomb)).rejects.toThrow(/decompress to 1048576 bytes instead of 3600060000/);
  });

  it('pixels beyond the header are not decompressed to their end', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const bomb = png(ihdr(2, 2), idat(Buffer.alloc(200_000_000)));
    const begin = performance.now();
    await expect(inspectPixels(bomb)).rejects.toThrow(/more than the 14 bytes/);
    expect(performance.now() - begin).toBeLessThan(2000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(220_000_000);
  });

  it('a cancelled image is not decompressed to its end', async () => {
    const [width, height] = [8191, 8192];
    const bomb = png(ihdr(width, height), idat(rows(width, height)));
    const cancel = new AbortController();
    const work = new ImageInspector('pixels', cancel.signal).push(bomb);
    cancel.abort();
    await expect(work).rejects.toMatchObject({ reason: 'CANCELLED' });
  });

  it('more than 4 GiB of pixels are refused by the header', async () => {
    await expect(inspectPixels(png(ihdr(60_000, 60_000), idat(rows(2, 2))))).rejects.toMatchObject({
      reason: 'IMAGE_TOO_LARGE',
      message: 'a PNG of pixels of more than 4 GiB, which limits.imageCheck (pixels) does not decompress',
    });
  });

  it('another type is checked by its structure', async () => {
    await expect(inspectPixels(Buffer.from(`GIF89a${'\0'.repeat(60)}`))).rejects.toMatchObject({
      reason: 'IMAGE_TRUNCATED',
    });
  });
});

function inspect(bytes: Buffer, check?: ImageCheck): ImageFormat {
  const inspector = new ImageInspector(check);
  inspector.push(bytes);
  return inspector.finish();
}

async function inspectPixels(bytes: Buffer, chunkBytes = bytes.length): Promise<ImageFormat> {
  const inspector = new ImageInspector('pixels');
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const chunk = Buffer.from(bytes.subarray(at, at + chunkBytes));
    const work = inspector.push(chunk);
    chunk.fill(0xaa);
    await work;
  }
  return inspector.finish();
}

function refusalOf(bytes: Buffer): StorageError {
  try {
    return { message: `whole: ${JSON.stringify(inspect(bytes))}` } as StorageError;
  } catch (error) {
    // The answer is the same when the bytes come one by one.
    const inspector = new ImageInspector();
    expect(() => {
      for (let at = 0; at < bytes.length; at += 1) inspector.push(Buffer.from([bytes[at]!]));
      inspector.finish();
    }).toThrow((error as Error).message);
    return error as StorageError;
  }
}
