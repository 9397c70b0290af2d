/** Detects the type of an image in a stream of bytes, and checks that the image is whole, as the bytes pass. */
import type { ImageCheck } from '../domain/config.ts';
import { StorageError } from '../domain/errors.ts';
import { avif, brandsOf } from './avif.ts';
import { gif } from './gif.ts';
import { jpeg } from './jpeg.ts';
import { type Format, ParserRun } from './parser.ts';
import { png } from './png.ts';
import { webp } from './webp.ts';

export interface DetectedType {
  /** Such as `image/png`. */
  contentType: string;
  /** `png`, `jpg`, `webp`, `gif` or `avif`. */
  extension: string;
}

export interface ImageFormat extends DetectedType {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
}

const FORMATS: readonly Format[] = [png, jpeg, webp, gif, avif];
/** Enough bytes to detect every type except those of the `ftyp` family. */
const MAGIC_BYTES = 12;
/** The most bytes of an `ftyp` box that are searched for brands. */
const MAX_HEAD_BYTES = 256;

/** Inspects one incoming image. Chunks may have any size, which does not change the results. Retains no chunk. */
export class ImageInspector {
  readonly #check: ImageCheck;
  readonly #signal: AbortSignal | undefined;
  #head: Buffer = Buffer.alloc(0);
  #format: Format | undefined;
  #run: ParserRun | undefined;
  #isBare = false;

  /** The signal ends what is decompressed. */
  constructor(check: ImageCheck = 'structure', signal?: AbortSignal) {
    this.#check = check;
    this.#signal = signal;
  }

  /** The type, detected by the first 12 bytes, for AVIF by the `ftyp` box; undefined until they have arrived. */
  get detected(): DetectedType | undefined {
    return this.#format && { contentType: this.#format.contentType, extension: this.#format.extension };
  }

  /** Of an image that is whole: true where no part of it is of a type that holds metadata. */
  get isBare(): boolean {
    return this.#isBare;
  }

  /**
   * Throws TYPE_NOT_ALLOWED as soon as the first bytes show it, and IMAGE_TRUNCATED as soon as the structure is broken.
   * Returns a promise where pixels are decompressed: it resolves when the next chunk, or `finish`, may come, and rejects
   * with IMAGE_TRUNCATED, IMAGE_TOO_LARGE or CANCELLED.
   */
  push(chunk: Uint8Array): Promise<void> | undefined {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    return this.#run === undefined ? this.#begin(bytes) : this.#run.push(bytes);
  }

  #begin(bytes: Buffer): Promise<void> | undefined {
    const missing = MAX_HEAD_BYTES - this.#head.length;
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, missing)]);
    this.#format = detect(this.#head);
    if (this.#format === undefined) return undefined;
    this.#run = new ParserRun(this.#format, this.#check, this.#signal);
    const work = this.#run.push(this.#head);
    // Later work waits for earlier.
    return this.#run.push(bytes.subarray(missing)) ?? work;
  }

  /**
   * Returns type and dimensions. Throws IMAGE_EMPTY, TYPE_NOT_ALLOWED when the image is too short for any type, or
   * IMAGE_TRUNCATED with what is missing.
   */
  finish(): ImageFormat {
    if (this.#head.length === 0) throw new StorageError('IMAGE_EMPTY', 'no bytes arrived');
    this.#format ??= FORMATS.find((format) => format.matches(this.#head));
    if (this.#format === undefined) throw notAllowed(appearance(this.#head));
    const { width, height, isBare = false } = (this.#run ?? this.#runOverHead(this.#format)).finish();
    this.#isBare = isBare;
    return { ...this.detected!, width, height };
  }

  /** Of a file that ended before its type was certain. */
  #runOverHead(format: Format): ParserRun {
    const run = new ParserRun(format, this.#check);
    run.push(this.#head);
    return run;
  }
}

/**
 * Returns the format once it is certain, undefined while it needs more bytes. Throws TYPE_NOT_ALLOWED when none can
 * match.
 */
function detect(head: Buffer): Format | undefined {
  if (head.length < MAGIC_BYTES) return undefined;
  const format = FORMATS.find((candidate) => candidate.matches(head));
  if (format === undefined && isComplete(head)) throw notAllowed(appearance(head));
  return format;
}

function isComplete(head: Buffer): boolean {
  return brandsOf(head) === undefined || head.length >= Math.min(head.readUInt32BE(0), MAX_HEAD_BYTES);
}

function notAllowed(what: string): StorageError {
  const allowed = FORMATS.map(({ name }) => name).join(', ');
  return new StorageError('TYPE_NOT_ALLOWED', `not an image of an allowed type (${what}); allowed are ${allowed}`);
}

/**
 * Describes the bytes for the caller, by the first 12 alone, so that the text does not depend on the size of chunks.
 */
function appearance(head: Buffer): string {
  if (head.length < MAGIC_BYTES) return `${head.length} bytes, too few to be an image`;
  const start = head.toString('latin1', 0, MAGIC_BYTES);
  const known = APPEARANCES.find(([pattern]) => pattern.test(start));
  return known === undefined ? 'of an unknown type' : `it looks like ${known[1]}`;
}

const APPEARANCES: readonly [RegExp, string][] = [
  [/^(\xef\xbb\xbf)?\s*<svg/i, 'SVG'],
  [/^(\xef\xbb\xbf)?\s*<\?xml/i, 'XML or SVG'],
  [/^(\xef\xbb\xbf)?\s*<(!doctype|html)/i, 'HTML or XML'],
  [/^....ftyp(hei|hev|mif1|msf1)/s, 'HEIC'],
  [/^....ftyp/s, 'a video'],
  [/^BM/, 'BMP'],
  [/^(II\*\0|MM\0\*)/, 'TIFF'],
  [/^%PDF/, 'PDF'],
  [/^[\t\n\r\x20-\x7e\x80-\xff]+$/, 'text'],
];
