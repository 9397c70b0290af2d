/** Parses PNG, also animated: the chunks from IHDR to IEND. Does not check CRCs. */
import { type Dimensions, dimensions, type Format, type Parser } from './parser.ts';
import { damaged, reach, read, readInto, type Visit, type Walk } from './walk.ts';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const HEADER_BYTES = 8;
const IHDR_BYTES = 13;
const CRC_BYTES = 4;
const MAX_CHUNK_BYTES = 2 ** 31 - 1;

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
  let type: string;
  do {
    const header = yield read(at, HEADER_BYTES);
    const lengthBytes = header.readUInt32BE(0);
    type = header.toString('latin1', 4, 8);
    const isChunk = /^[A-Za-z]{4}$/.test(type) && lengthBytes <= MAX_CHUNK_BYTES;
    if (!isChunk) throw damaged('no PNG chunk where one must begin');
    at += HEADER_BYTES;
    const reading = visit({ type, at, lengthBytes });
    if (reading !== undefined) yield* reading;
    at += lengthBytes + CRC_BYTES;
  } while (type !== 'IEND');
  yield reach(at);
}

function* parse(): Parser {
  const found: { size?: Dimensions; hasPixels?: boolean } = {};
  yield* walkPng(({ type, at, lengthBytes }) => {
    if (found.size !== undefined) {
      found.hasPixels ||= type === 'IDAT' && lengthBytes > 0;
      return undefined;
    }
    if (type !== 'IHDR' || lengthBytes !== IHDR_BYTES) throw damaged('a PNG that does not begin with IHDR');
    return readInto(at, IHDR_BYTES + CRC_BYTES, (ihdr) => {
      found.size = dimensions(ihdr.readUInt32BE(0), ihdr.readUInt32BE(4));
    });
  });
  if (found.size === undefined || !found.hasPixels) throw damaged('a PNG without pixels (IDAT)');
  return found.size;
}
