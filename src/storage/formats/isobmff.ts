/**
 * Walks the ISO base media file format (ISO/IEC 14496-12), the container of AVIF: its boxes, and the extents of its
 * items.
 */
import {
  checkParts,
  damaged,
  NOTHING,
  read,
  readUnlessEnd,
  rest,
  typeAt,
  type Visit,
  type Walk,
  walkBytes,
} from './walk.ts';

const HEADER_BYTES = 8;
const LARGE_SIZE_BYTES = 8;
/** A size of 0: the box extends to the end of its container. */
const OPEN = 0;
/** A size of 1: the true size follows the type, in 64 bits. */
const LARGE = 1;
/** Version and flags, at the beginning of the bodies of many boxes. */
export const FULL_BOX_BYTES = 4;

/** Returns whether a file that begins like this has an `ftyp` box first. */
export function isIsobmff(head: Buffer): boolean {
  return head.toString('latin1', 4, HEADER_BYTES) === 'ftyp';
}

/** Walks the boxes of a file, or of a body, up to its end. */
export function* walkBoxes(visit: Visit): Walk {
  let at = 0;
  let [bytes, bytesAt] = [NOTHING, at];
  for (let parts = 1; ; parts += 1) {
    if (at + HEADER_BYTES > bytesAt + bytes.length) {
      [bytes, bytesAt] = [yield readUnlessEnd(at, HEADER_BYTES), at];
      if (bytes.length === 0) return;
    }
    const size = bytes.readUInt32BE(at - bytesAt);
    const type = typeAt(bytes, at - bytesAt + 4);
    let lengthBytes = size === OPEN ? Infinity : size - HEADER_BYTES;
    at += HEADER_BYTES;
    if (size === LARGE) {
      if (at + LARGE_SIZE_BYTES > bytesAt + bytes.length) [bytes, bytesAt] = [yield read(at, LARGE_SIZE_BYTES), at];
      const [high, low] = [bytes.readUInt32BE(at - bytesAt), bytes.readUInt32BE(at - bytesAt + 4)];
      lengthBytes = high * 2 ** 32 + low - HEADER_BYTES - LARGE_SIZE_BYTES;
      at += LARGE_SIZE_BYTES;
    }
    if (lengthBytes < 0) throw damaged('an AVIF box with an impossible length');
    checkParts(parts);
    const reading = visit({ type, at, lengthBytes });
    if (reading !== undefined) {
      yield* reading;
      bytes = NOTHING;
    }
    if (lengthBytes === Infinity) break;
    at += lengthBytes;
  }
  yield rest;
}

export interface Box {
  type: string;
  body: Buffer;
}

/** Returns the first boxes of these types in a body, up to one that does not fit, which is truncated. */
export function boxesIn(body: Buffer, types: readonly string[], atMost = Infinity): { boxes: Box[]; allFit: boolean } {
  const boxes: Box[] = [];
  let allFit = true;
  const walk = walkBoxes(({ type, at, lengthBytes }) => {
    allFit = lengthBytes === Infinity || at + lengthBytes <= body.length;
    if (boxes.length < atMost && types.includes(type)) boxes.push({ type, body: body.subarray(at, at + lengthBytes) });
  });
  return { allFit: walkBytes(body, walk) && allFit, boxes };
}

/** A contiguous piece of an item. */
export interface Extent {
  at: number;
  lengthBytes: number;
}

export interface Item {
  id: number;
  /** The origin of its extents; 0: the beginning of the file. */
  constructionMethod: number;
  /** 0: this file. */
  dataReference: number;
  extents: Extent[];
}

/** The most items and extents of a file; an image of 256 tiles, each in one piece, has fewer than 1,000. */
const MAX_EXTENTS = 65_536;

/** Yields the items in the body of an `iloc` (8.11.3). Throws IMAGE_TRUNCATED when it ends too early. */
export function* itemsIn(iloc: Buffer): Generator<Item> {
  const fields = new Fields(iloc);
  const version = fields.uint(1);
  fields.skip(3);
  const sizes = fields.uint(2);
  const [offsetBytes, lengthBytes, baseBytes] = [sizes >> 12, (sizes >> 8) & 15, (sizes >> 4) & 15] as const;
  const indexBytes = version === 0 ? 0 : sizes & 15;
  const idBytes = version < 2 ? 2 : 4;
  let left = MAX_EXTENTS;
  for (let items = fields.uint(idBytes); items > 0; items -= 1) {
    const id = fields.uint(idBytes);
    const constructionMethod = version === 0 ? 0 : fields.uint(2) & 15;
    const dataReference = fields.uint(2);
    const base = fields.uint(baseBytes);
    // Extents without fields take no bytes, so that a large count would loop for nothing.
    const count = fields.uint(2) * Math.sign(indexBytes + offsetBytes + lengthBytes);
    left -= 1 + count;
    if (left < 0) throw damaged(`an AVIF in more than ${MAX_EXTENTS} pieces`);
    const extents: Extent[] = [];
    for (let extent = 0; extent < count; extent += 1) {
      fields.skip(indexBytes);
      extents.push({ at: base + fields.uint(offsetBytes), lengthBytes: fields.uint(lengthBytes) });
    }
    yield { id, constructionMethod, dataReference, extents };
  }
}

/** Reads big-endian fields in sequence. Throws IMAGE_TRUNCATED when none is left. */
export class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(length: number): void {
    this.#at += length;
    if (this.#at > this.#bytes.length) throw damaged('an AVIF box that reaches beyond the one around it');
  }

  /** Reads an integer of 0 to 15 bytes; exact below 2^53. */
  uint(length: number): number {
    const from = this.#at;
    this.skip(length);
    let value = 0;
    for (let at = from; at < this.#at; at += 1) value = value * 256 + this.#bytes[at]!;
    return value;
  }
}
