/** AVIF, still and animated: the boxes of the file, and that all that `meta` points to lies inside it. */
import {
  type Dimensions,
  damaged,
  dimensions,
  type Format,
  type Parser,
  rest,
  skip,
  take,
  takeUnlessEnd,
} from './parser.ts';

const BRANDS = new Set(['avif', 'avis']);
const MAX_META_BYTES = 1024 * 1024;
const FULL_BOX_BYTES = 4;

export const avif: Format = {
  contentType: 'image/avif',
  extension: 'avif',
  name: 'AVIF',
  end: 'last box is complete',
  matches: (head) => brandsOf(head)?.some((brand) => BRANDS.has(brand)) ?? false,
  parse,
};

/** The major and the compatible brands as far as they have arrived; undefined when the file does not begin with `ftyp`. */
export function brandsOf(head: Buffer): string[] | undefined {
  if (head.toString('latin1', 4, 8) !== 'ftyp') return undefined;
  const brands: string[] = [];
  const end = Math.min(head.readUInt32BE(0), head.length);
  for (let at = 8; at + 4 <= end; at += 4) brands.push(head.toString('latin1', at, at + 4));
  // Between them stands the minor version.
  return brands.filter((_, at) => at !== 1);
}

function* parse(position: () => number): Parser {
  let picture: Picture | undefined;
  for (let header = yield takeUnlessEnd(8); header.length > 0; header = yield takeUnlessEnd(8)) {
    let length = header.readUInt32BE(0) - 8;
    const type = header.toString('latin1', 4, 8);
    if (length === 1 - 8) length = Number((yield take(8)).readBigUInt64BE()) - 16;
    if (length === 0 - 8) {
      yield rest;
      break;
    }
    if (length < 0) throw damaged('an AVIF box with an impossible length');
    if (type === 'meta') picture = readMeta(yield take(metaLength(length)));
    else yield skip(length);
  }
  if (picture === undefined) throw damaged('an AVIF without the box that describes the image (meta)');
  if (picture.end > position()) throw damaged('an AVIF that ends before the data of its image');
  return picture;
}

function metaLength(length: number): number {
  if (length < FULL_BOX_BYTES || length > MAX_META_BYTES) throw damaged('an AVIF box (meta) with an impossible length');
  return length;
}

interface Picture extends Dimensions {
  /** Where in the file the last byte that `meta` points to ends. */
  end: number;
}

function readMeta(meta: Buffer): Picture {
  const boxes = childrenOf(meta.subarray(FULL_BOX_BYTES));
  const properties = boxes.filter(({ type }) => type === 'iprp').flatMap(({ body }) => childrenOf(body));
  const ispes = properties
    .filter(({ type }) => type === 'ipco')
    .flatMap(({ body }) => childrenOf(body))
    .filter(({ type }) => type === 'ispe');
  // The tiles, thumbnails and auxiliary pictures of an image are not larger than itself.
  const largest = ispes.map(({ body }) => readIspe(body)).sort((a, b) => b.width * b.height - a.width * a.height)[0];
  if (largest === undefined) throw damaged('an AVIF without dimensions (ispe)');
  const ends = boxes.filter(({ type }) => type === 'iloc').map(({ body }) => endOfExtents(body));
  return { ...largest, end: Math.max(0, ...ends) };
}

interface Box {
  type: string;
  body: Buffer;
}

function childrenOf(parent: Buffer): Box[] {
  const boxes: Box[] = [];
  const fields = new Fields(parent);
  while (fields.left >= 8) {
    const length = fields.uint(4);
    const type = fields.bytes(4).toString('latin1');
    const bodyLength = length === 0 ? fields.left : length === 1 ? fields.uint(8) - 16 : length - 8;
    boxes.push({ type, body: fields.bytes(bodyLength) });
  }
  return boxes;
}

function readIspe(body: Buffer): Dimensions {
  const fields = new Fields(body.subarray(FULL_BOX_BYTES));
  return dimensions(fields.uint(4), fields.uint(4));
}

/** The largest end of an extent in this file (ISO/IEC 14496-12, 8.11.3). */
function endOfExtents(iloc: Buffer): number {
  const fields = new Fields(iloc);
  const version = fields.uint(1);
  fields.bytes(3);
  const sizes = fields.uint(2);
  const [offsetSize, lengthSize, baseSize] = [sizes >> 12, (sizes >> 8) & 15, (sizes >> 4) & 15] as const;
  const indexSize = version === 0 ? 0 : sizes & 15;
  const idSize = version < 2 ? 2 : 4;
  let end = 0;
  for (let items = fields.uint(idSize); items > 0; items -= 1) {
    fields.bytes(idSize);
    const method = version === 0 ? 0 : fields.uint(2) & 15;
    const otherFile = fields.uint(2);
    const isInFile = method === 0 && otherFile === 0;
    const base = fields.uint(baseSize);
    // Extents without fields would cost a loop and no bytes.
    const extents = fields.uint(2) * Math.sign(indexSize + offsetSize + lengthSize);
    for (let extent = 0; extent < extents; extent += 1) {
      fields.bytes(indexSize);
      const extentEnd = base + fields.uint(offsetSize) + fields.uint(lengthSize);
      if (isInFile) end = Math.max(end, extentEnd);
    }
  }
  return end;
}

/** Reads big-endian fields one after the other; IMAGE_TRUNCATED where there are none left. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  bytes(length: number): Buffer {
    if (length < 0 || length > this.left) throw damaged('an AVIF box that reaches beyond the one around it');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** Of 0 to 8 bytes; exact below 2^53. */
  uint(length: number): number {
    let value = 0;
    for (const byte of this.bytes(length)) value = value * 256 + byte;
    return value;
  }
}
