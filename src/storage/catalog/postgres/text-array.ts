/** Encodes texts as Postgres receives arrays in binary: it reads many rows so in a fraction of the time that JSON takes. */

const TEXT_OID = 25;
const HEAD_BYTES = 20;

/** Requires texts without NUL. At least one. */
export function textArray(texts: readonly (string | null)[]): Buffer {
  const lengths = texts.map((text) => (text === null ? -1 : Buffer.byteLength(text)));
  const size = lengths.reduce((sum, length) => sum + 4 + Math.max(length, 0), HEAD_BYTES);
  const array = Buffer.allocUnsafe(size);
  // Dimensions, whether any is NULL, type; of the one dimension the length and the first index.
  const head = [1, Number(lengths.includes(-1)), TEXT_OID, texts.length, 1];
  let at = head.reduce((next, value) => array.writeInt32BE(value, next), 0);
  for (const [place, text] of texts.entries()) {
    at = array.writeInt32BE(lengths[place]!, at);
    if (text !== null) at += array.write(text, at);
  }
  return array;
}

/** Returns an array as the text that a cast reads. */
export function arrayLiteral(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
