/** Reads the text chunks of a PNG, as far as there are any. */
import { isUtf8 } from 'node:buffer';
import { inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
/** Compressed text that unfolds to more is skipped. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;

/** Text by its keyword, from tEXt, zTXt and iTXt; of equal keywords the first counts. Empty when it is no PNG. */
export function readPngTexts(png: Uint8Array): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { type, body } of chunksOf(Buffer.from(png.buffer, png.byteOffset, png.byteLength))) {
    const end = body.indexOf(0);
    const decode = DECODERS[type];
    if (decode === undefined || end === -1) continue;
    const keyword = body.toString('latin1', 0, end);
    const text = attempt(() => decode(body.subarray(end + 1)));
    if (text !== undefined && !texts.has(keyword)) texts.set(keyword, text);
  }
  return texts;
}

const DECODERS: Record<string, (body: Buffer) => string> = {
  tEXt: latin1OrUtf8,
  zTXt: (body) => latin1OrUtf8(inflate(body.subarray(1))),
  iTXt: (body) => {
    const languageEnd = body.indexOf(0, 2);
    const translationEnd = body.indexOf(0, languageEnd + 1);
    const text = body.subarray(translationEnd + 1);
    return (body[0] === 1 ? inflate(text) : text).toString('utf8');
  },
};

/** Latin-1 says the standard, UTF-8 write many; one is hardly ever taken for the other. */
function latin1OrUtf8(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}

function inflate(bytes: Buffer): Buffer {
  return inflateSync(bytes, { maxOutputLength: MAX_TEXT_BYTES });
}

function* chunksOf(png: Buffer): Generator<{ type: string; body: Buffer }> {
  if (!png.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return;
  for (let at = SIGNATURE.length; at + 8 <= png.length; ) {
    const bodyAt = at + 8;
    const end = bodyAt + png.readUInt32BE(at);
    if (end > png.length) return;
    yield { type: png.toString('latin1', at + 4, bodyAt), body: png.subarray(bodyAt, end) };
    at = end + 4;
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
