/** Decodes the profiles that ImageMagick and others put as hexadecimal digits into the texts of a PNG. */
import { NOTHING } from '../formats/walk.ts';

/** A name, the length in bytes, and the digits, in lines. */
const HEADER = /^\s*[\w.-]{1,64}\s+\d{1,9}\s/;

const MAX_TEXT_BYTES = 512 * 1024;

/** Returns what a text of that keyword holds; undefined for a text that is no profile. */
export function profileKind(keyword: string): 'exif' | 'xmp' | 'other' | undefined {
  const [, name] = /^Raw profile type (.+)$/.exec(keyword) ?? [];
  if (name === undefined) return undefined;
  if (/^(exif|app1)$/i.test(name)) return 'exif';
  return /^xmp$/i.test(name) ? 'xmp' : 'other';
}

/** Returns nothing for a text that is no profile, or a longer one than any generator writes. */
export function profileOf(text: Buffer): Buffer {
  if (text.length > MAX_TEXT_BYTES) return NOTHING;
  const digits = text.toString('latin1');
  const [header] = HEADER.exec(digits) ?? [];
  return header === undefined ? NOTHING : Buffer.from(digits.slice(header.length).replace(/\s+/g, ''), 'hex');
}
