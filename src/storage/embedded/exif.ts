/** Reads the texts and dates of EXIF (CIPA DC-008), a TIFF: of its first directory, and of the one that it points to. */

const ASCII = 2;
const EXIF_DIRECTORY = 0x8769;
const ENTRY_BYTES = 12;
const INLINE_BYTES = 4;
/** Of both directories; cameras write some 60. */
const MAX_ENTRIES = 1000;
/** The most bytes of all values; entries may share them. */
const MAX_VALUE_BYTES = 4 * 1024 * 1024;
/** The sizes of the types 1 to 13, in bytes. */
const TYPE_BYTES = [1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4];

/** The tags that are read besides all texts of the first directory. */
export const TAG = {
  modifyDate: 0x0132,
  originalDate: 0x9003,
  createDate: 0x9004,
  offset: 0x9010,
  offsetOfOriginal: 0x9011,
  offsetOfCreate: 0x9012,
  userComment: 0x9286,
} as const;
const WANTED = new Set<number>(Object.values(TAG));

export interface Exif {
  /** The texts of the first directory, in its order, by tag. */
  texts: Map<number, string>;
  /** The texts of the other, by tag. */
  inner: Map<number, string>;
  userComment?: Buffer;
}

/** Reads as much as is there; damaged entries count as none. */
export function parseExif(tiff: Buffer): Exif {
  const reader = new TiffReader(tiff);
  const exif: Exif = { texts: new Map(), inner: new Map() };
  let innerAt: number | undefined;
  for (const { tag, type, value } of reader.entries(reader.uint32(4))) {
    if (tag === EXIF_DIRECTORY) innerAt = reader.uint32Of(value);
    // Fooocus writes it here.
    else if (tag === TAG.userComment) exif.userComment ??= value;
    else if (type === ASCII && !exif.texts.has(tag)) exif.texts.set(tag, textOf(value));
  }
  for (const { tag, value } of innerAt === undefined ? [] : reader.entries(innerAt)) {
    if (tag === TAG.userComment) exif.userComment = value;
    else if (WANTED.has(tag) && !exif.inner.has(tag)) exif.inner.set(tag, textOf(value));
  }
  return exif;
}

function textOf(value: Buffer): string {
  const end = value.findLastIndex((byte) => byte !== 0) + 1;
  return value.toString('utf8', 0, end).trim();
}

interface Entry {
  tag: number;
  type: number;
  value: Buffer;
}

class TiffReader {
  readonly #bytes: Buffer;
  readonly #isLittle: boolean;
  #entriesLeft = MAX_ENTRIES;
  #bytesLeft = MAX_VALUE_BYTES;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#isLittle = bytes.toString('latin1', 0, 2) === 'II';
  }

  uint32(at: number): number {
    return at + 4 > this.#bytes.length ? Infinity : this.uint32Of(this.#bytes.subarray(at, at + 4));
  }

  uint32Of(value: Buffer): number {
    if (value.length < 4) return Infinity;
    return this.#isLittle ? value.readUInt32LE() : value.readUInt32BE();
  }

  #uint16(at: number): number {
    return this.#isLittle ? this.#bytes.readUInt16LE(at) : this.#bytes.readUInt16BE(at);
  }

  /** Yields the entries of a directory whose values lie in the file; one that claims more than there is gets the rest. */
  *entries(directoryAt: number): Generator<Entry> {
    if (directoryAt + 2 > this.#bytes.length) return;
    let at = directoryAt + 2;
    for (let count = this.#uint16(directoryAt); count > 0; count -= 1, at += ENTRY_BYTES) {
      if (this.#entriesLeft === 0 || at + ENTRY_BYTES > this.#bytes.length) return;
      this.#entriesLeft -= 1;
      const type = this.#uint16(at + 2);
      const lengthBytes = (TYPE_BYTES[type - 1] ?? Infinity) * this.uint32(at + 4);
      const valueAt = lengthBytes <= INLINE_BYTES ? at + 8 : this.uint32(at + 8);
      const value = this.#bytes.subarray(valueAt, Math.min(valueAt + lengthBytes, this.#bytes.length));
      this.#bytesLeft -= value.length;
      if (this.#bytesLeft < 0) return;
      if (lengthBytes !== Infinity) yield { tag: this.#uint16(at), type, value };
    }
  }
}
