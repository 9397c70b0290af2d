/** Tells from the head of a WebP's pixels whether they may end in zeros: some coders write flat surfaces like that. */
import type { Dimensions } from './parser.ts';
import { lowestQuantizer, QUANTIZER_HEAD_BYTES } from './vp8-quantizer.ts';

/** What is read of pixels, from which their size can be told. */
export const PIXEL_HEAD_BYTES = QUANTIZER_HEAD_BYTES;
const SIZE_HEAD_BYTES = 10;
/** The frame of an animation begins with its place and size; its pixels are chunks. */
const FRAME_HEADER_BYTES = 16;
const CHUNK_HEADER_BYTES = 8;
export const FRAME_HEAD_BYTES = FRAME_HEADER_BYTES + CHUNK_HEADER_BYTES + PIXEL_HEAD_BYTES;

/**
 * A macroblock without coefficients takes 5.6 bits at most with the probabilities that VP8 begins with (RFC 6386, 13.5),
 * all of them zeros. Coders leave these in place where they quantize least, else they skip such macroblocks.
 */
const FLAT_MACROBLOCK_BYTES = 0.75;
const FINEST_QUANTIZER = 4;
/** More than the probabilities of a busy picture cost a flat surface below it (measured, 5.6 and 0.17). */
const FLAT_BELOW_MACROBLOCK_BYTES = 6;
const FLAT_BELOW_OF_ALL = 0.2;

const [PREDICTOR, SUBTRACT_GREEN, NONE] = [0, 2, -1];

/** Returns the size of lossy pixels (VP8); undefined where they do not begin with a key frame. */
export function lossySize(head: Buffer): Dimensions | undefined {
  if (head.length < SIZE_HEAD_BYTES || head.readUIntBE(3, 3) !== 0x9d012a) return undefined;
  return { width: head.readUInt16LE(6) & 0x3fff, height: head.readUInt16LE(8) & 0x3fff };
}

/** Returns the size of lossless pixels (VP8L); undefined where they do not begin with their signature. */
export function losslessSize(head: Buffer): Dimensions | undefined {
  if (head.length < 5 || head[0] !== 0x2f) return undefined;
  const packed = head.readUInt32LE(1);
  return { width: (packed & 0x3fff) + 1, height: ((packed >>> 14) & 0x3fff) + 1 };
}

/** Returns whether pixels of that type and length may end in so many zeros. */
export function mayEndInZeros(type: string, head: Buffer, lengthBytes: number, zeros: number): boolean {
  if (type === 'VP8L') return losslessMay(head, lengthBytes, zeros);
  if (type === 'VP8 ') return lossyMay(lossySize(head), head, lengthBytes, zeros);
  const frame = head.subarray(FRAME_HEADER_BYTES + CHUNK_HEADER_BYTES);
  const frameBytes = lengthBytes - FRAME_HEADER_BYTES - CHUNK_HEADER_BYTES;
  const pixels = head.toString('latin1', FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + 4);
  if (pixels === 'VP8L') return losslessMay(frame, frameBytes, zeros);
  // An alpha channel may be in front of them.
  const size = { width: head.readUIntLE(6, 3) + 1, height: head.readUIntLE(9, 3) + 1 };
  return lossyMay(size, pixels === 'VP8 ' ? frame : undefined, frameBytes, zeros);
}

function lossyMay(size: Dimensions | undefined, head: Buffer | undefined, lengthBytes: number, zeros: number): boolean {
  if (size === undefined) return false;
  const macroblocks = Math.ceil(size.width / 16) * Math.ceil(size.height / 16);
  if (zeros <= Math.min(macroblocks * FLAT_BELOW_MACROBLOCK_BYTES, lengthBytes * FLAT_BELOW_OF_ALL)) return true;
  if (zeros > macroblocks * FLAT_MACROBLOCK_BYTES) return false;
  return head === undefined || lowestQuantizer(head) <= FINEST_QUANTIZER;
}

/**
 * Coders that look for repetitions code a flat surface as one. The fastest do not: each of its pixels takes up to 4 bits,
 * all of them zeros, and each of the others 4 bytes at most.
 */
function losslessMay(head: Buffer, lengthBytes: number, zeros: number): boolean {
  const size = losslessSize(head);
  if (size === undefined || !isMadeFast(head)) return false;
  return lengthBytes - zeros <= 4 * (size.width * size.height - 2 * zeros);
}

/** Returns whether all pixels are predicted in the same way, or not at all, as fast coders do. */
function isMadeFast(head: Buffer): boolean {
  const bits = new Bits(head.subarray(5));
  let transform = NONE;
  do transform = bits.read(1) === 1 ? bits.read(2) : NONE;
  while (transform === SUBTRACT_GREEN);
  if (transform !== PREDICTOR) return true;
  bits.read(3);
  const hasColorCache = bits.read(1) === 1;
  if (hasColorCache) bits.read(4);
  const [isSimpleCode, hasTwoSymbols] = [bits.read(1) === 1, bits.read(1) === 1];
  return isSimpleCode && !hasTwoSymbols;
}

/** Reads the least significant bits first; zeros behind the end. */
class Bits {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(count: number): number {
    let value = 0;
    for (let bit = 0; bit < count; bit += 1, this.#at += 1) {
      value |= (((this.#bytes[this.#at >> 3] ?? 0) >> (this.#at & 7)) & 1) << bit;
    }
    return value;
  }
}
