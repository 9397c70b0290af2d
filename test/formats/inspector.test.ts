/** What the inspection of image bytes accepts, refuses, and says of them, however they are cut into chunks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StorageError } from '../../src/storage/domain/errors.ts';
import { type ImageFormat, ImageInspector } from '../../src/storage/formats/inspector.ts';
import {
  avifOf,
  box,
  fullBox,
  gifOf,
  gifSubBlocks,
  ilocOf,
  ispeOf,
  jpegOf,
  jpegSegment,
  noise,
  pngChunk,
  pngOf,
  riff,
  riffChunk,
  sharedImages,
  uint32,
  vp8l,
  webpOf,
} from '../support/images.ts';
import { seed } from '../support/scale.ts';

const REAL: Record<string, ImageFormat> = {
  'aura_flow_aura_flow_0.2.png': png(1024, 1024),
  'chroma_fennec_girl_sing.png': png(1024, 1024),
  'controlnet_controlnet.png': png(2853, 1246),
  'hunyuan_video_hunyuan_video_text_to_video.webp': webp(848, 480),
  'ltxv_fox.jpg': jpeg(1284, 964),
  'sd3_sd3_controlnet.png': png(1024, 1024),
  'sdturbo_sdxlturbo.png': png(512, 512),
};

const size = { width: 67, height: 45 };
const made: [string, Buffer, ImageFormat][] = [
  ['PNG', pngOf(size), png(67, 45)],
  ['JPEG', jpegOf(size), jpeg(67, 45)],
  ['WebP', webpOf(size), webp(67, 45)],
  ['GIF', gifOf(size), { contentType: 'image/gif', extension: 'gif', ...size }],
  ['AVIF', avifOf(size), avif(67, 45)],
];

describe.each(sharedImages())('$name', ({ name, bytes }) => {
  it.each([bytes.length, 4096, 7, 1])('is recognized and whole in chunks of %i bytes', (chunkBytes) => {
    expect(inspect(bytes, chunkBytes)).toEqual(REAL[name]);
  });

  it('is truncated wherever it is cut', () => {
    const { length } = bytes;
    const cuts = [
      12,
      100,
      1000,
      length >> 2,
      length >> 1,
      length - 13,
      length - 12,
      length - 4,
      length - 2,
      length - 1,
    ];
    for (const cut of cuts) expect(reasonOf(bytes.subarray(0, cut)), `cut at ${cut}`).toBe('IMAGE_TRUNCATED');
  });
});

describe.each(made)('a minimal %s', (_name, bytes, format) => {
  it('is recognized, and whole', () => {
    expect(inspect(bytes)).toEqual(format);
  });

  it('is truncated at every cut behind its first 12 bytes', () => {
    for (let cut = 12; cut < bytes.length; cut += 1) {
      expect(reasonOf(bytes.subarray(0, cut)), `cut at ${cut}`).toBe('IMAGE_TRUNCATED');
    }
  });
});

it('knows the type before the image is complete', () => {
  const inspector = new ImageInspector();
  const bytes = webpOf(size);
  inspector.push(bytes.subarray(0, 11));
  expect(inspector.detected).toBeUndefined();
  inspector.push(bytes.subarray(11, 12));
  expect(inspector.detected).toEqual({ contentType: 'image/webp', extension: 'webp' });
});

it('gives the same answer for every split, of whole and of damaged images', () => {
  const image = fc.constantFrom(...made.map(([, bytes]) => bytes));
  const damage = fc.record({ at: fc.nat(), to: fc.nat(255), cut: fc.nat() });
  const chunkSizes = fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 2000 })));
  const property = fc.property(image, fc.option(damage), chunkSizes, (bytes, change, sizes) => {
    const sent = change === null ? bytes : Buffer.from(bytes.subarray(0, bytes.length - (change.cut % 40)));
    if (change !== null) sent[change.at % sent.length] = change.to;
    expect(answerTo(sent, sizes)).toEqual(answerTo(sent, [sent.length].values()));
  });
  fc.assert(property, { seed, numRuns: 1000 });
});

describe('refuses', () => {
  it.each([
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg"/>', /SVG.*PNG, JPEG, WebP, GIF, AVIF/],
    ['SVG behind a byte order mark and a declaration', '\ufeff<?xml version="1.0"?><svg/>', /SVG/],
    ['HTML', '<!DOCTYPE html><html></html>', /HTML/],
    ['text', 'a fox in the snow', /text/],
    ['HEIC', Buffer.concat([box('ftyp', Buffer.from('heic\0\0\0\0mif1heic')), box('meta')]), /HEIC/],
    ['MP4', Buffer.concat([box('ftyp', Buffer.from('isom\0\0\0\0isommp42')), box('moov')]), /video/],
    ['BMP', Buffer.concat([Buffer.from('BM'), noise(60, 1)]), /BMP/],
    ['TIFF', Buffer.concat([Buffer.from('II*\0'), noise(60, 1)]), /TIFF/],
    ['noise', noise(1000, 1), /unknown/],
    ['a few bytes', 'PNG', /too few/],
  ])('%s', (_name, content, message) => {
    const bytes = Buffer.from(content as string);
    for (const chunkBytes of [bytes.length, 1]) {
      expect(() => inspect(bytes, chunkBytes)).toThrow(expect.objectContaining({ reason: 'TYPE_NOT_ALLOWED' }));
      expect(() => inspect(bytes, chunkBytes)).toThrow(message);
    }
  });

  it('nothing at all', () => {
    expect(reasonOf(Buffer.alloc(0))).toBe('IMAGE_EMPTY');
  });
});

it.each(made.slice(0, 4))('ignores what follows the end of a %s', (_name, bytes, format) => {
  expect(inspect(Buffer.concat([bytes, Buffer.from('anything')]))).toEqual(format);
  expect(inspect(Buffer.concat([bytes, bytes.subarray(0, 20)]), 1)).toEqual(format);
});

describe('PNG', () => {
  const [signature, header] = [pngOf(size).subarray(0, 8), pngOf(size).subarray(8, 33)];
  const pixels = pngChunk('IDAT', noise(50, 1));
  const end = pngChunk('IEND', Buffer.alloc(0));

  it.each([
    ['without IDAT', [signature, header, end]],
    ['with an empty IDAT', [signature, header, pngChunk('IDAT', Buffer.alloc(0)), end]],
    ['that does not begin with IHDR', [signature, pixels, header, end]],
    ['with zeros where a chunk must begin', [signature, header, Buffer.alloc(64), pixels, end]],
    ['of no width', [signature, pngChunk('IHDR', Buffer.concat([uint32(0), uint32(9), Buffer.alloc(5)])), pixels, end]],
  ])('%s is damaged', (_name, parts) => {
    expect(() => inspect(Buffer.concat(parts))).toThrow(/^damaged or truncated: /);
    expect(reasonOf(Buffer.concat(parts))).toBe('IMAGE_TRUNCATED');
  });

  it('has exactly the size that was asked for', () => {
    const bytes = pngOf({ width: 64, height: 64, sizeBytes: 1_000_000, text: { prompt: 'a fox, 狐' } });
    expect(bytes).toHaveLength(1_000_000);
    expect(inspect(bytes)).toEqual(png(64, 64));
  });
});

describe('JPEG', () => {
  const whole = jpegOf(size);
  const scanAt = whole.indexOf(Buffer.from([0xff, 0xda]));
  const [start, scan] = [whole.subarray(0, scanAt), whole.subarray(scanAt, -2)];
  const end = Buffer.from([0xff, 0xd9]);

  it('may carry a thumbnail with its own end, stuffing, restarts, fill bytes and several scans', () => {
    const bytes = Buffer.concat([
      whole.subarray(0, 2),
      jpegSegment(0xe1, Buffer.concat([Buffer.from('Exif\0\0'), jpegOf({ width: 8, height: 8 })])),
      start.subarray(2),
      scan,
      Buffer.from([1, 0xff, 0x00, 2, 0xff, 0xd0, 3, 0xff, 0xd7, 0xff, 0x00, 0xff, 0xff]),
      jpegSegment(0xc4, Buffer.from([0x10, 1, ...Array(15).fill(0), 0])),
      Buffer.from([0xff]),
      scan,
      Buffer.from([0xff, 0xff]),
      end,
    ]);
    expect(inspect(bytes)).toEqual(jpeg(67, 45));
    expect(inspect(bytes, 1)).toEqual(jpeg(67, 45));
    expect(reasonOf(bytes.subarray(0, -2))).toBe('IMAGE_TRUNCATED');
  });

  it.each([
    ['without a scan', [start, end]],
    ['without a frame', [whole.subarray(0, 2), scan, end]],
    ['with garbage where a marker must be', [start, Buffer.from('garbage'), scan, end]],
    ['with an impossible length', [start, Buffer.from([0xff, 0xe5, 0, 1]), scan, end]],
    ['with another image inside its scan', [start, scan, whole]],
  ])('%s is damaged', (_name, parts) => {
    expect(() => inspect(Buffer.concat(parts))).toThrow(/^damaged or truncated: /);
  });
});

describe('WebP', () => {
  const canvas = riffChunk('VP8X', Buffer.from([0x10, 0, 0, 0, 66, 0, 0, 44, 0, 0]));
  const lossless = riffChunk('VP8L', vp8l({ width: 8, height: 8 }));

  it('takes its dimensions from the canvas of the extended format', () => {
    expect(inspect(riff(canvas, riffChunk('EXIF', noise(33, 1)), lossless))).toEqual(webp(67, 45));
  });

  it('takes them from a lossy frame', () => {
    const frame = Buffer.concat([Buffer.from([0x30, 1, 0, 0x9d, 0x01, 0x2a, 67, 0x40, 45, 0x80]), noise(21, 1)]);
    expect(inspect(riff(riffChunk('VP8 ', frame)))).toEqual(webp(67, 45));
  });

  it('may lack the padding of its last chunk', () => {
    const body = Buffer.concat([Buffer.from('WEBP'), canvas, lossless, riffChunk('XMP ', noise(5, 1)).subarray(0, -1)]);
    const length = uint32(body.length).reverse();
    expect(inspect(Buffer.concat([Buffer.from('RIFF'), length, body]))).toEqual(webp(67, 45));
  });

  it.each([
    ['without pixels', riff(canvas, riffChunk('EXIF', noise(20, 1)))],
    ['whose chunk is larger than the container', riff(lossless.subarray(0, -2))],
    ['that is empty', riff()],
  ])('%s is damaged', (_name, bytes) => {
    expect(() => inspect(bytes)).toThrow(/^damaged or truncated: /);
  });
});

describe('GIF', () => {
  const whole = gifOf(size);
  const head = whole.subarray(0, 19);
  const image = whole.subarray(19, -1);
  const loop = Buffer.concat([Buffer.from('!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0', 'latin1')]);
  const control = Buffer.from('!\xf9\x04\0\x0a\0\0\0', 'latin1');

  it('may be animated, with color tables of its frames', () => {
    const frame = Buffer.concat([Buffer.from([0x2c, 0, 0, 0, 0, 67, 0, 45, 0, 0x81]), noise(12, 1), Buffer.from([2])]);
    const bytes = Buffer.concat([
      head,
      loop,
      control,
      image,
      control,
      frame,
      gifSubBlocks(noise(600, 2)),
      Buffer.from(';'),
    ]);
    expect(inspect(bytes)).toMatchObject({ contentType: 'image/gif', ...size });
    expect(reasonOf(bytes.subarray(0, -1))).toBe('IMAGE_TRUNCATED');
  });

  it.each([
    ['without an image', [head, loop, Buffer.from(';')]],
    ['with garbage where a block must begin', [head, image, Buffer.from('garbage;')]],
  ])('%s is damaged', (_name, parts) => {
    expect(() => inspect(Buffer.concat(parts))).toThrow(/^damaged or truncated: /);
  });
});

describe('AVIF', () => {
  const ftyp = box('ftyp', Buffer.from('avis\0\0\0\0msf1miaf'));
  const picture = noise(100, 1);
  const sizes = box('iprp', box('ipco', ispeOf(8, 8), ispeOf(67, 45), ispeOf(16, 16)));
  const metaLength = fullBox('meta', sizes, ilocOf([{ offset: 0, length: 0 }])).length;
  const metaFor = (offset: number) =>
    fullBox('meta', sizes, ilocOf([{ offset: ftyp.length + metaLength + offset, length: 100 }]));
  const largeBox = (type: string, body: Buffer) =>
    Buffer.concat([uint32(1), Buffer.from(type), uint32(0), uint32(16 + body.length), body]);
  const openBox = (type: string, body: Buffer) => Buffer.concat([uint32(0), Buffer.from(type), body]);

  it.each([
    ['with a 64-bit size', [ftyp, metaFor(16), largeBox('mdat', picture)]],
    ['with a last box up to the end', [ftyp, metaFor(8), openBox('mdat', picture)]],
  ])('%s is whole, as large as its largest item', (_name, parts) => {
    const bytes = Buffer.concat(parts);
    expect(inspect(bytes)).toEqual(avif(67, 45));
    expect(inspect(bytes, 1)).toEqual(avif(67, 45));
    expect(reasonOf(bytes.subarray(0, -1))).toBe('IMAGE_TRUNCATED');
  });

  it.each([
    ['cut between two boxes', [ftyp, metaFor(8)], /before the data/],
    ['without meta', [ftyp, box('mdat', picture)], /meta/],
    ['without dimensions', [ftyp, fullBox('meta', box('iprp', box('ipco'))), box('mdat', picture)], /ispe/],
    ['with a box of 4 bytes', [ftyp, uint32(4), Buffer.from('mdat')], /length/],
    ['with a meta box of 2 MiB', [ftyp, box('meta', Buffer.alloc(2 ** 21))], /length/],
    ['with a broken meta box', [ftyp, fullBox('meta', sizes, Buffer.from('\x00\x00\xff\xffiloc'))], /reaches beyond/],
  ])('%s is damaged', (_name, parts, message) => {
    expect(() => inspect(Buffer.concat(parts))).toThrow(message);
    expect(reasonOf(Buffer.concat(parts))).toBe('IMAGE_TRUNCATED');
  });

  it('is recognized by a compatible brand, however late it comes', () => {
    const late = box('ftyp', Buffer.from(`mif1\0\0\0\0${'miaf'.repeat(20)}avif`));
    const bytes = Buffer.concat([late, fullBox('meta', sizes)]);
    expect(inspect(bytes)).toEqual(avif(67, 45));
    expect(inspect(bytes, 1)).toEqual(avif(67, 45));
  });
});

function png(width: number, height: number): ImageFormat {
  return { contentType: 'image/png', extension: 'png', width, height };
}

function jpeg(width: number, height: number): ImageFormat {
  return { contentType: 'image/jpeg', extension: 'jpg', width, height };
}

function webp(width: number, height: number): ImageFormat {
  return { contentType: 'image/webp', extension: 'webp', width, height };
}

function avif(width: number, height: number): ImageFormat {
  return { contentType: 'image/avif', extension: 'avif', width, height };
}

function inspect(bytes: Buffer, chunkBytes = Math.max(1, bytes.length)): ImageFormat {
  const inspector = new ImageInspector();
  for (let at = 0; at < bytes.length; at += chunkBytes) inspector.push(bytes.subarray(at, at + chunkBytes));
  return inspector.finish();
}

function reasonOf(bytes: Buffer): string {
  try {
    return `whole: ${JSON.stringify(inspect(bytes))}`;
  } catch (error) {
    return (error as StorageError).reason;
  }
}

/** The format, or the reason and the words of the refusal; each chunk is overwritten once it has been pushed. */
function answerTo(bytes: Buffer, chunkSizes: Iterator<number>): unknown {
  const inspector = new ImageInspector();
  try {
    for (let at = 0; at < bytes.length; ) {
      const chunk = Buffer.from(bytes.subarray(at, at + chunkSizes.next().value));
      inspector.push(chunk);
      at += chunk.length;
      chunk.fill(0xaa);
    }
    return inspector.finish();
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return { reason: error.reason, message: error.message };
  }
}
