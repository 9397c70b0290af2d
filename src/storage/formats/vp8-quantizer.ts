/** Reads how finely the pixels of a lossy WebP are quantized, from the head of its first partition (RFC 6386, 9.2 to 9.6). */

/** Frame tag, start code and size. */
const TAG_BYTES = 10;
/** What the fields up to the quantizer take at most: 24 bytes, and what the decoder reads ahead. */
export const QUANTIZER_HEAD_BYTES = TAG_BYTES + 28;
const SEGMENTS = 4;

/** Returns the lowest index that any macroblock may have: 0 is the finest, 127 the coarsest. */
export function lowestQuantizer(head: Buffer): number {
  const fields = new Literals(head.subarray(TAG_BYTES));
  fields.read(2); // Color space and clamping.
  const segments = fields.read(1) === 1 ? readSegments(fields) : undefined;
  fields.read(1 + 6 + 3); // The loop filter.
  if (fields.read(1) === 1 && fields.read(1) === 1) for (let delta = 0; delta < 8; delta += 1) readOptional(fields, 6);
  fields.read(2); // The number of partitions.
  const base = fields.read(7);
  if (segments === undefined) return base;
  return Math.min(...segments.quantizers.map((value) => (segments.isAbsolute ? value : base + value)));
}

function readSegments(fields: Literals): { isAbsolute: boolean; quantizers: number[] } | undefined {
  const [hasMap, hasData] = [fields.read(1) === 1, fields.read(1) === 1];
  let segments: { isAbsolute: boolean; quantizers: number[] } | undefined;
  if (hasData) {
    const isAbsolute = fields.read(1) === 1;
    segments = { isAbsolute, quantizers: Array.from({ length: SEGMENTS }, () => readOptional(fields, 7)) };
    for (let segment = 0; segment < SEGMENTS; segment += 1) readOptional(fields, 6);
  }
  if (hasMap) for (let probability = 0; probability < 3; probability += 1) if (fields.read(1) === 1) fields.read(8);
  return segments;
}

/** A flag, then the value and its sign; 0 without. */
function readOptional(fields: Literals, bits: number): number {
  if (fields.read(1) === 0) return 0;
  const value = fields.read(bits);
  return fields.read(1) === 1 ? -value : value;
}

/** Decodes bits of even probability (7.3); zeros behind the end. */
class Literals {
  readonly #bytes: Buffer;
  #at = 2;
  #value: number;
  #range = 255;
  #shifts = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#value = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  }

  read(bits: number): number {
    let value = 0;
    for (let bit = 0; bit < bits; bit += 1) value = (value << 1) | this.#bit();
    return value;
  }

  #bit(): number {
    const split = 1 + (((this.#range - 1) * 128) >> 8);
    const bit = this.#value >= split << 8 ? 1 : 0;
    if (bit === 1) {
      this.#range -= split;
      this.#value -= split << 8;
    } else this.#range = split;
    for (; this.#range < 128; this.#range <<= 1) {
      this.#value <<= 1;
      this.#shifts += 1;
      if (this.#shifts % 8 === 0) {
        this.#value |= this.#bytes[this.#at] ?? 0;
        this.#at += 1;
      }
    }
    return bit;
  }
}
