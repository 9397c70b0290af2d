/** PNG (also animated): the chunks from IHDR to IEND. CRCs are not checked. */
import { type Dimensions, damaged, dimensions, type Format, type Parser, skip, take } from './parser.ts';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
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

function* parse(): Parser {
  yield skip(SIGNATURE.length);
  const size = yield* header();
  let hasPixels = false;
  for (;;) {
    const { type, length } = chunkHeader(yield take(8));
    yield skip(length + CRC_BYTES);
    if (type === 'IEND') break;
    hasPixels ||= type === 'IDAT' && length > 0;
  }
  if (!hasPixels) throw damaged('a PNG without pixels (IDAT)');
  return size;
}

function* header(): Generator<ReturnType<typeof take>, Dimensions, Buffer> {
  const { type, length } = chunkHeader(yield take(8));
  if (type !== 'IHDR' || length !== IHDR_BYTES) throw damaged('a PNG that does not begin with IHDR');
  const ihdr = yield take(IHDR_BYTES + CRC_BYTES);
  return dimensions(ihdr.readUInt32BE(0), ihdr.readUInt32BE(4));
}

function chunkHeader(bytes: Buffer): { type: string; length: number } {
  const length = bytes.readUInt32BE(0);
  const type = bytes.toString('latin1', 4, 8);
  if (!/^[A-Za-z]{4}$/.test(type) || length > MAX_CHUNK_BYTES) throw damaged('no PNG chunk where one must begin');
  return { type, length };
}
