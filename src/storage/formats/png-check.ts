/**
 * Checks what a PNG says of itself (PNG, third edition): its header, the CRCs of the chunks that decoders
 * need, and where asked for that its pixels decompress to the length that the header says.
 */
import { crcOfType, RunningCrc } from './crc.ts';
import { PALETTE, type PngHeader, readPngHeader } from './png-header.ts';
import { PngPixels } from './png-pixels.ts';
import { corrupt, type Part } from './walk.ts';
import type { Tap, Watch } from './watch.ts';

const CRC_BYTES = 4;
const MAX_PALETTE_BYTES = 3 * 256;

/** Critical by its name, or a frame of an animation, which is as much of the picture. */
function isNeeded(type: string): boolean {
  return type.charCodeAt(0) < 0x61 || type === 'fdAT' || type === 'fcTL';
}

/** The checks of one file. */
export class PngCheck {
  readonly #watch: Watch;
  #header: PngHeader | undefined;
  #hasPalette = false;
  #pixels: PngPixels | undefined;
  /** The first two bytes of the pixels, CMF and FLG of zlib (RFC 1950). */
  #zlibHeader = 0;
  #zlibHeaderBytes = 0;

  constructor(watch: Watch) {
    this.#watch = watch;
  }

  /** Watches a chunk once its own header was read. Throws where it may not stand there. */
  part({ type, at, lengthBytes }: Part): void {
    if (!isNeeded(type)) return;
    if (type === 'PLTE') this.#checkPalette(lengthBytes);
    const lacksPalette = this.#header?.colorType === PALETTE && !this.#hasPalette;
    if (type === 'IDAT' && lacksPalette) throw corrupt('a PNG of palette colours without a palette (PLTE)');
    this.#watch.tap(at, lengthBytes + CRC_BYTES, new CheckedChunk(this, type, at, lengthBytes));
  }

  #checkPalette(lengthBytes: number): void {
    this.#hasPalette = true;
    if (lengthBytes % 3 === 0 && lengthBytes > 0 && lengthBytes <= MAX_PALETTE_BYTES) return;
    throw corrupt(`a PNG whose palette (PLTE) has ${lengthBytes} bytes`);
  }

  /** Takes the body of IHDR. */
  header(ihdr: Buffer): void {
    this.#header = readPngHeader(ihdr);
    if (this.#watch.pixels) this.#pixels = new PngPixels(this.#header, this.#watch);
  }

  /** Receives a piece of a chunk's body. */
  take(type: string, bytes: Buffer, from: number, to: number): void {
    if (type === 'IDAT') {
      for (let at = from; at < to && this.#zlibHeaderBytes < 2; at += 1) {
        this.#zlibHeader = this.#zlibHeader * 256 + bytes[at]!;
        this.#zlibHeaderBytes += 1;
      }
    }
    this.#pixels?.take(type, bytes, from, to);
  }

  /** A chunk has passed, and its CRC was right. */
  passed(type: string): void {
    const isRead = this.#zlibHeaderBytes === 2 || (type === 'IEND' && this.#zlibHeaderBytes === 1);
    if (isRead && !isZlibHeader(this.#zlibHeader)) throw corrupt('the pixels (IDAT) do not begin as zlib data does');
    this.#pixels?.passed(type);
  }
}

/** Deflate with a window of at most 32 KiB, no dictionary, and a right check value. */
function isZlibHeader(header: number): boolean {
  const [method, windowBits] = [(header >> 8) & 15, (header >> 12) + 8];
  return method === 8 && windowBits <= 15 && (header & 0x20) === 0 && header % 31 === 0;
}

/** The body and the CRC of one chunk. */
class CheckedChunk implements Tap {
  readonly #check: PngCheck;
  readonly #type: string;
  readonly #at: number;
  #bodyLeft: number;
  /** Undefined until a byte of the body has passed: a file may have a million empty chunks. */
  #crc: RunningCrc | undefined;
  #written = 0;

  constructor(check: PngCheck, type: string, at: number, lengthBytes: number) {
    this.#check = check;
    this.#type = type;
    this.#at = at;
    this.#bodyLeft = lengthBytes;
  }

  take(bytes: Buffer, from: number, to: number): void {
    const bodyEnd = Math.min(to, from + this.#bodyLeft);
    if (bodyEnd > from) {
      this.#bodyLeft -= bodyEnd - from;
      this.#crc ??= new RunningCrc(crcOfType(this.#type));
      this.#crc.take(bytes, from, bodyEnd);
      this.#check.take(this.#type, bytes, from, bodyEnd);
    }
    for (let at = bodyEnd; at < to; at += 1) this.#written = (this.#written << 8) | bytes[at]!;
  }

  end(): void {
    const crc = this.#crc === undefined ? crcOfType(this.#type) : this.#crc.value();
    if (this.#written >>> 0 !== crc) {
      throw corrupt(`the CRC of the ${this.#type} chunk at byte ${this.#at - 8} does not match`);
    }
    this.#check.passed(this.#type);
  }
}
