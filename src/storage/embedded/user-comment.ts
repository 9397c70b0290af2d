/** Decodes EXIF's UserComment, whose encoding its first eight bytes name, or should. */
import { isUtf8 } from 'node:buffer';
import { textOf } from './png-text.ts';

const CODE_BYTES = 8;
const CODE = /^(ASCII\0\0\0|UNICODE\0|JIS\0{5}|\0{8})$/;
/** How much is looked at to guess the encoding. */
const SAMPLE_BYTES = 4096;

/** Returns the text, with or without a code, in UTF-8 or in UTF-16 of either byte order, whatever that of the file. */
export function decodeUserComment(comment: Buffer): string {
  const hasCode = CODE.test(comment.toString('latin1', 0, CODE_BYTES));
  const bytes = hasCode ? comment.subarray(CODE_BYTES) : comment;
  return decoded(bytes, hasCode && comment[0] === 0x55).replace(/^\ufeff/, '');
}

function decoded(bytes: Buffer, isUnicode: boolean): string {
  const encoding = encodingOf(bytes, isUnicode);
  if (encoding === undefined) return textOf(bytes);
  return new TextDecoder(encoding).decode(bytes.subarray(0, bytes.length & ~1));
}

/** Returns undefined for UTF-8 and Latin-1. */
function encodingOf(bytes: Buffer, isUnicode: boolean): 'utf-16be' | 'utf-16le' | undefined {
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  const text = bytes.subarray(0, lengthWithoutPadding(bytes));
  const sample = text.subarray(0, SAMPLE_BYTES);
  const [even, odd] = zerosOf(sample);
  // Most characters of UTF-16 have a high byte of zero; texts of other encodings have none.
  if (Math.max(even, odd) > (isUnicode ? 0 : sample.length / 20)) return even >= odd ? 'utf-16be' : 'utf-16le';
  // EXIF 3 has UTF-8 there.
  return isUnicode && !isUtf8(text) ? 'utf-16be' : undefined;
}

function lengthWithoutPadding(bytes: Buffer): number {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0) length -= 1;
  return length;
}

function zerosOf(bytes: Buffer): [even: number, odd: number] {
  const zeros: [number, number] = [0, 0];
  for (let at = 0; at < bytes.length; at += 1) if (bytes[at] === 0) zeros[at % 2 === 0 ? 0 : 1] += 1;
  return zeros;
}
