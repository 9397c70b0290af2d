/** Valid images made from nothing, of every type and any size, and the real ones that lie beside the project. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';

export interface Dimensions {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** Other seeds give other bytes; default 0. */
  seed?: number;
}

export interface PngOptions extends Dimensions {
  /** Text chunks: tEXt, or iTXt where Latin-1 does not hold the text. */
  text?: Record<string, string>;
  /** The exact length of the file; a private chunk of noise makes up what is missing. */
  sizeBytes?: number;
}

export interface SharedImage {
  name: string;
  path: string;
  bytes: Buffer;
}

const SHARED = fileURLToPath(new URL('../../../shared/images/', import.meta.url));
/** Only so much of a picture is noise, so that large ones stay cheap and small. */
const NOISE_BYTES = 3072;
const PNG_SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const CHUNK_OVERHEAD = 12;

/** Real generated images; none where the folder is missing, which under `CI=true` is an error. */
export function sharedImages(): SharedImage[] {
  if (existsSync(SHARED)) {
    return readdirSync(SHARED).map((name) => ({
      name,
      path: join(SHARED, name),
      bytes: readFileSync(join(SHARED, name)),
    }));
  }
  if (process.env.CI === 'true') throw new Error('../shared/images is missing, and CI must not skip it');
  console.warn('SKIPPED: ../shared/images is missing, no test sees a real image');
  return [];
}

/** 8-bit RGB. */
export function pngOf({ width, height, seed = 0, text = {}, sizeBytes }: PngOptions): Buffer {
  const rows = Buffer.alloc((1 + width * 3) * height);
  noise(Math.min(NOISE_BYTES, rows.length), seed).copy(rows);
  for (let y = 0; y < height; y += 1) rows[y * (1 + width * 3)] = 0;
  const parts = [
    PNG_SIGNATURE,
    pngChunk('IHDR', Buffer.concat([uint32(width), uint32(height), Buffer.from([8, 2, 0, 0, 0])])),
    ...Object.entries(text).map(([keyword, value]) => textChunk(keyword, value)),
    pngChunk('IDAT', deflateSync(rows, { level: 1 })),
  ];
  const end = pngChunk('IEND', Buffer.alloc(0));
  const missing = (sizeBytes ?? 0) - lengthOf([...parts, end]);
  if (sizeBytes !== undefined && missing !== 0) {
    if (missing < CHUNK_OVERHEAD) throw new RangeError(`sizeBytes is ${CHUNK_OVERHEAD - missing} too small`);
    parts.push(pngChunk('paDd', noise(missing - CHUNK_OVERHEAD, seed)));
  }
  return Buffer.concat([...parts, end]);
}

export function pngChunk(type: string, body: Buffer): Buffer {
  const checked = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  return Buffer.concat([uint32(body.length), checked, uint32(crc32(checked))]);
}

function textChunk(keyword: string, text: string): Buffer {
  if (Buffer.from(text, 'latin1').toString('latin1') === text) {
    return pngChunk('tEXt', Buffer.from(`${keyword}\0${text}`, 'latin1'));
  }
  return pngChunk('iTXt', Buffer.from(`${keyword}\0\0\0\0\0${text}`));
}

/** Baseline, one grey surface; the seed is its comment. */
export function jpegOf({ width, height, seed = 0 }: Dimensions): Buffer {
  const blocks = Math.ceil(width / 8) * Math.ceil(height / 8);
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    jpegSegment(0xe0, Buffer.from('JFIF\0\x01\x01\0\0\x01\0\x01\0\0', 'latin1')),
    jpegSegment(0xfe, Buffer.from(`seed ${seed}`)),
    jpegSegment(0xdb, Buffer.alloc(65, 1).fill(0, 0, 1)),
    jpegSegment(0xc0, Buffer.concat([Buffer.from([8]), uint16(height), uint16(width), Buffer.from([1, 1, 0x11, 0])])),
    // One code of one bit, 0, in either table: "no difference" and "end of block".
    jpegSegment(0xc4, Buffer.from([0x00, 1, ...Array(15).fill(0), 0])),
    jpegSegment(0xc4, Buffer.from([0x10, 1, ...Array(15).fill(0), 0])),
    jpegSegment(0xda, Buffer.from([1, 1, 0x00, 0, 63, 0])),
    Buffer.alloc(Math.ceil((blocks * 2) / 8)),
    Buffer.from([0xff, 0xd9]),
  ]);
}

export function jpegSegment(code: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0xff, code]), uint16(body.length + 2), body]);
}

/** Lossless, one surface of a colour chosen by the seed. */
export function webpOf(dimensions: Dimensions): Buffer {
  return riff(riffChunk('VP8L', vp8l(dimensions)));
}

/** The lossless bitstream: five prefix codes of one symbol each, so that pixels take no bits. */
export function vp8l({ width, height, seed = 0 }: Dimensions): Buffer {
  const [red, green, blue] = noise(4, seed);
  const eightBitSymbol = (value: number) => [1, 0, 1, ...bits(value, 8)];
  const stream = [...bits(width - 1, 14), ...bits(height - 1, 14), ...bits(0, 1), ...bits(0, 3), 0, 0, 0];
  for (const value of [green!, red!, blue!, 255]) stream.push(...eightBitSymbol(value));
  stream.push(1, 0, 0, 0);
  return Buffer.concat([Buffer.from([0x2f]), packed(stream)]);
}

export function riff(...chunks: Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from('WEBP'), ...chunks]);
  return Buffer.concat([Buffer.from('RIFF'), uint32le(body.length), body]);
}

export function riffChunk(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), uint32le(body.length), body, Buffer.alloc(body.length % 2)]);
}

/** GIF89a, one surface of a colour chosen by the seed. */
export function gifOf({ width, height, seed = 0 }: Dimensions): Buffer {
  const size = Buffer.concat([uint16le(width), uint16le(height)]);
  return Buffer.concat([
    Buffer.from('GIF89a'),
    size,
    Buffer.from([0x80, 0, 0]),
    noise(6, seed),
    Buffer.from([0x2c, 0, 0, 0, 0]),
    size,
    Buffer.from([0, 2]),
    gifSubBlocks(gifPixels(width * height)),
    Buffer.from([0x3b]),
  ]);
}

/** LZW that clears its table after every second pixel, so that its codes stay 3 bits wide. */
function gifPixels(count: number): Buffer {
  const CLEAR = 4;
  const END = 5;
  const codes: number[] = [];
  for (let done = 0; done < count; done += 2) codes.push(CLEAR, 0, ...(done + 1 < count ? [0] : []));
  return packed([...codes, END].flatMap((code) => bits(code, 3)));
}

export function gifSubBlocks(data: Buffer): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at < data.length; at += 255) {
    const block = data.subarray(at, at + 255);
    blocks.push(Buffer.from([block.length]), block);
  }
  return Buffer.concat([...blocks, Buffer.from([0])]);
}

/** The boxes of a still picture, whole and consistent; the picture inside is noise that no AV1 decoder reads. */
export function avifOf({ width, height, seed = 0 }: Dimensions): Buffer {
  const picture = noise(64, seed);
  const ftyp = box('ftyp', Buffer.from('avif\0\0\0\0avifmif1miaf', 'latin1'));
  const meta = (offset: number) =>
    fullBox(
      'meta',
      fullBox('hdlr', Buffer.from('\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0', 'latin1')),
      fullBox('pitm', uint16(1)),
      ilocOf([{ offset, length: picture.length }]),
      fullBox('iinf', uint16(1), box('infe', Buffer.from('\x02\0\0\0\0\x01\0\0av01\0', 'latin1'))),
      box(
        'iprp',
        box('ipco', ispeOf(width, height), box('av1C', Buffer.from([0x81, 0, 0x0c, 0]))),
        fullBox('ipma', uint32(1), uint16(1), Buffer.from([2, 1, 0x82])),
      ),
    );
  const offset = ftyp.length + meta(0).length + 8;
  return Buffer.concat([ftyp, meta(offset), box('mdat', picture)]);
}

export function ispeOf(width: number, height: number): Buffer {
  return fullBox('ispe', uint32(width), uint32(height));
}

/** Version 0, 4-byte offsets and lengths, one item for each extent. */
export function ilocOf(extents: { offset: number; length: number }[]): Buffer {
  const items = extents.map(({ offset, length }, at) =>
    Buffer.concat([uint16(at + 1), uint16(0), uint16(1), uint32(offset), uint32(length)]),
  );
  return fullBox('iloc', Buffer.from([0x44, 0]), uint16(items.length), ...items);
}

export function box(type: string, ...bodies: Buffer[]): Buffer {
  return Buffer.concat([uint32(8 + lengthOf(bodies)), Buffer.from(type), ...bodies]);
}

export function fullBox(type: string, ...bodies: Buffer[]): Buffer {
  return box(type, uint32(0), ...bodies);
}

/** Pseudo-random bytes (xorshift32), the same for the same seed. */
export function noise(sizeBytes: number, seed: number): Buffer {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  for (let at = 0; at < words.length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return Buffer.from(words.buffer, 0, sizeBytes);
}

/** The lowest `width` bits, least significant first. */
function bits(value: number, width: number): number[] {
  return Array.from({ length: width }, (_, at) => (value >>> at) & 1);
}

function packed(stream: number[]): Buffer {
  const bytes = Buffer.alloc(Math.ceil(stream.length / 8));
  stream.forEach((bit, at) => {
    bytes[at >> 3]! |= bit << (at & 7);
  });
  return bytes;
}

function lengthOf(buffers: Buffer[]): number {
  return buffers.reduce((sum, { length }) => sum + length, 0);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function uint32le(value: number): Buffer {
  return uint32(value).reverse();
}

export function uint16(value: number): Buffer {
  return uint32(value).subarray(2);
}

function uint16le(value: number): Buffer {
  return uint32(value).subarray(2).reverse();
}
