/** Reads the text chunks of a PNG. */
import { isUtf8 } from 'node:buffer';
import { inflateSync } from 'node:zlib';
import { png, walkPng } from '../formats/png.ts';
import { walkBytes } from '../formats/walk.ts';

/** Compressed text that inflates to more is skipped. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;

/**
 * Returns text by keyword, from tEXt, zTXt and iTXt; of equal keywords the first counts. Empty when it is not a PNG.
 */
export function readPngTexts(bytes: Uint8Array): Map<string, string> {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts = new Map<string, string>();
  if (!png.matches(file)) return texts;
  const walk = walkPng(({ type, at, lengthBytes }) => {
    const decode = DECODERS[type];
    if (decode !== undefined && at + lengthBytes <= file.length) {
      addText(texts, decode, file.subarray(at, at + lengthBytes));
    }
  });
  walkBytes(file, walk);
  return texts;
}

type Decode = (text: Buffer) => string;

function addText(texts: Map<string, string>, decode: Decode, body: Buffer): void {
  const end = body.indexOf(0);
  if (end === -1) return;
  const keyword = body.toString('latin1', 0, end);
  const text = attempt(() => decode(body.subarray(end + 1)));
  if (text !== undefined && !texts.has(keyword)) texts.set(keyword, text);
}

const DECODERS: Record<string, Decode> = {
  tEXt: latin1OrUtf8,
  zTXt: (body) => latin1OrUtf8(inflate(body.subarray(1))),
  iTXt: (body) => {
    const languageEnd = body.indexOf(0, 2);
    const translationEnd = body.indexOf(0, languageEnd + 1);
    const text = body.subarray(translationEnd + 1);
    return (body[0] === 1 ? inflate(text) : text).toString('utf8');
  },
};

/** The standard requires Latin-1, but many write UTF-8; one is hardly ever mistaken for the other. */
function latin1OrUtf8(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}

function inflate(bytes: Buffer): Buffer {
  return inflateSync(bytes, { maxOutputLength: MAX_TEXT_BYTES });
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
