/** Counts the fields of a protobuf message while its bytes pass, before anything is decoded. */
import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { StorageError } from '../storage/domain/errors.ts';

/** More than any message of the contract needs: a Delete names 1,000 files. */
export const MAX_FIELDS = 10_000;

const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5];
const MAX_VARINT_BYTES = 10;
/** protobuf-es drops the bits of tags and lengths above it. */
const MAX_UINT32 = 2 ** 32 - 1;

/** Where a message ends whose fields are counted, too. */
interface Level {
  desc: DescMessage;
  end: number;
}

/**
 * Counts fields that are known and unknown, and those of known messages in it. Throws FIELD_INVALID where there are more
 * than MAX_FIELDS, or where the bytes are no protobuf.
 */
export class FieldCounter {
  readonly #levels: Level[];
  #fields = 0;
  /** Offset in the message of the next byte. */
  #at = 0;
  /** What the next byte belongs to. */
  #expected: 'tag' | 'value' | 'length' = 'tag';
  /** Bytes of the current value that are left; they mean nothing here. */
  #skip = 0;
  #varint = 0;
  #varintBytes = 0;
  /** Of the message whose length comes. */
  #message: DescMessage | undefined;

  constructor(desc: DescMessage) {
    this.#levels = [{ desc, end: Number.POSITIVE_INFINITY }];
  }

  get fields(): number {
    return this.#fields;
  }

  /** Takes the next bytes of the message. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, bytes.length - at);
        this.#skip -= skipped;
        this.#at += skipped;
        at += skipped;
        continue;
      }
      this.#at += 1;
      this.#take(bytes[at]!);
      at += 1;
    }
  }

  #take(byte: number): void {
    this.#varint += (byte & 0x7f) * 2 ** (7 * this.#varintBytes);
    this.#varintBytes += 1;
    if (byte >= 0x80) {
      if (this.#varintBytes === MAX_VARINT_BYTES) throw damaged();
      return;
    }
    const value = this.#varint;
    this.#varint = 0;
    this.#varintBytes = 0;
    if (this.#expected === 'tag') this.#field(value);
    else if (this.#expected === 'length') this.#length(value);
    else this.#expected = 'tag';
  }

  #field(tag: number): void {
    if (tag > MAX_UINT32) throw damaged();
    while (this.#at > this.#levels.at(-1)!.end) this.#levels.pop();
    this.#fields += 1;
    if (this.#fields > MAX_FIELDS) {
      throw new StorageError('FIELD_INVALID', `a message has more than ${MAX_FIELDS.toLocaleString('en')} fields`);
    }
    const type = tag % 8;
    const number = (tag - type) / 8;
    const field = this.#levels.at(-1)!.desc.fields.find((known) => known.number === number);
    // protobuf-es goes by the field alone: what is skipped here as another type, it would decode.
    if (number === 0 || (field !== undefined && !takes(field, type))) throw damaged();
    if (type === VARINT) this.#expected = 'value';
    else if (type === FIXED64) this.#skip = 8;
    else if (type === FIXED32) this.#skip = 4;
    else if (type === LENGTH) {
      this.#expected = 'length';
      this.#message = messageOf(field);
    } else throw damaged();
  }

  #length(length: number): void {
    if (length > MAX_UINT32) throw damaged();
    this.#expected = 'tag';
    if (this.#message === undefined) this.#skip = length;
    else this.#levels.push({ desc: this.#message, end: this.#at + length });
  }
}

/** Whether a field may have that wire type; lists of numbers may be packed. */
function takes(field: DescField, type: number): boolean {
  if (field.fieldKind === 'map' || messageOf(field) !== undefined) return type === LENGTH;
  const isPacked = field.fieldKind === 'list' && type === LENGTH;
  return isPacked || type === ('scalar' in field && field.scalar !== undefined ? wireTypeOf(field.scalar) : VARINT);
}

function wireTypeOf(scalar: ScalarType): number {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return LENGTH;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return FIXED64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return FIXED32;
    default:
      return VARINT;
  }
}

function messageOf(field: DescField | undefined): DescMessage | undefined {
  return field?.fieldKind === 'message' || field?.fieldKind === 'list' ? field.message : undefined;
}

function damaged(): StorageError {
  return new StorageError('FIELD_INVALID', 'a message cannot be decoded: it is damaged');
}
