/** Parses PNG, also animated: the chunks from IHDR to IEND. */
import { type Dimensions, dimensions, type Format, type Parser } from './parser.ts';
import { PngCheck } from './png-check.ts';
import { checkParts, damaged, NOTHING, reach, read, readInto, typeAt, type Visit, type Walk } from './walk.ts';
import type { Watch } from './watch.ts';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const HEADER_BYTES = 8;
const IHDR_BYTES = 13;
const CRC_BYTES = 4;
const MAX_CHUNK_BYTES = 2 ** 31 - 1;
/** `comf` is ComfyUI's. */
const METADATA = new Set(['tEXt', 'zTXt', 'iTXt', 'eXIf', 'comf']);

export const png: Format = {
  contentType: 'image/png',
  extension: 'png',
  name: 'PNG',
  end: 'IEND chunk',
  matches: (head) => SIGNATURE.equals(head.subarray(0, SIGNATURE.length)),
  parse,
};

/** Walks the chunks after the signature, IEND included. */
export function* walkPng(visit: Visit): Walk {
  let at = SIGNATURE.length;
  let [bytes, bytesAt] = [NOTHING, at];
  let type = '';
  for (let parts = 1; type !== 'IEND'; parts += 1) {
    if (at + HEADER_BYTES > bytesAt + bytes.length) [bytes, bytesAt] = [yield read(at, HEADER_BYTES), at];
    const lengthBytes = bytes.readUInt32BE(at - bytesAt);
    if (!isChunkType(bytes, at - bytesAt + 4) || lengthBytes > MAX_CHUNK_BYTES) {
      throw damaged('no PNG chunk where one must begin');
    }
    checkParts(parts);
    type = typeAt(bytes, at - bytesAt + 4);
    at += HEADER_BYTES;
    const reading = visit({ type, at, lengthBytes });
    if (reading !== undefined) {
      yield* reading;
      bytes = NOTHING;
    }
    at += lengthBytes + CRC_BYTES;
  }
  yield reach(at);
}

/** Returns whether the four bytes are letters. */
function isChunkType(bytes: Buffer, at: number): boolean {
  for (let letter = at; letter < at + 4; letter += 1) {
    const upper = bytes[letter]! & ~0x20;
    if (upper < 0x41 || upper > 0x5a) return false;
  }
  return true;
}

function* parse(_position: () => number, watch?: Watch): Parser {
  const found: { size?: Dimensions; hasPixels?: boolean; isBare: boolean } = { isBare: true };
  const check = watch && new PngCheck(watch);
  yield* walkPng((part) => {
    const { type, at, lengthBytes } = part;
    if (found.size !== undefined) {
      found.hasPixels ||= type === 'IDAT' && lengthBytes > 0;
      found.isBare &&= !METADATA.has(type);
      check?.part(part);
      return undefined;
    }
    if (type !== 'IHDR' || lengthBytes !== IHDR_BYTES) throw damaged('a PNG that does not begin with IHDR');
    check?.part(part);
    return readInto(at, IHDR_BYTES + CRC_BYTES, (ihdr) => {
      found.size = dimensions(ihdr.readUInt32BE(0), ihdr.readUInt32BE(4));
      check?.header(ihdr.subarray(0, IHDR_BYTES));
    });
  });
  if (found.size === undefined || !found.hasPixels) throw damaged('a PNG without pixels (IDAT)');
  return { ...found.size, isBare: found.isBare };
}
