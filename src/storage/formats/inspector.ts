/** Tells what image a stream of bytes is and whether it is whole, while the bytes go by. */
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
/** What names every type but those of the `ftyp` family. */
const MAGIC_BYTES = 12;
/** Where the list of brands of an `ftyp` box is given up. */
const MAX_HEAD_BYTES = 256;

/** One image on its way in. Chunks may have any size; the answers do not depend on it. Bytes are looked at, never kept. */
export class ImageInspector {
  #head: Buffer = Buffer.alloc(0);
  #format: Format | undefined;
  #run: ParserRun | undefined;

  /** The type by its first bytes: 12 for most, the `ftyp` box for AVIF; undefined until they have been seen. */
  get detected(): DetectedType | undefined {
    return this.#format && { contentType: this.#format.contentType, extension: this.#format.extension };
  }

  /** TYPE_NOT_ALLOWED as soon as the first bytes show it, IMAGE_TRUNCATED as soon as the structure is broken. */
  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#run === undefined) this.#begin(bytes);
    else this.#run.push(bytes);
  }

  #begin(bytes: Buffer): void {
    const missing = MAX_HEAD_BYTES - this.#head.length;
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, missing)]);
    this.#format = detect(this.#head);
    if (this.#format === undefined) return;
    this.#run = runOver(this.#format, this.#head);
    this.#run.push(bytes.subarray(missing));
  }

  /** IMAGE_EMPTY, TYPE_NOT_ALLOWED when too short to be anything, IMAGE_TRUNCATED with what is missing. */
  finish(): ImageFormat {
    if (this.#head.length === 0) throw new StorageError('IMAGE_EMPTY', 'no bytes arrived');
    this.#format ??= FORMATS.find((format) => format.matches(this.#head));
    if (this.#format === undefined) throw notAllowed(appearance(this.#head));
    const { width, height } = (this.#run ?? runOver(this.#format, this.#head)).finish();
    return { ...this.detected!, width, height };
  }
}

function runOver(format: Format, head: Buffer): ParserRun {
  const run = new ParserRun(format);
  run.push(head);
  return run;
}

/** The format once it is sure, undefined while more bytes may tell; TYPE_NOT_ALLOWED when none can be. */
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

/** In words for the caller, from the first 12 bytes alone, so that it is the same however they were cut. */
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
