/** The envelope of a message in gRPC, gRPC-Web and Connect's streams. */

/** Flags, and the length of the message as four bytes. */
export const PREFIX_BYTES = 5;
/** The flag of a compressed message. */
export const COMPRESSED = 1;
const MAX_LENGTH_BYTES = 5;

export function prefixOf(length: number): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(length, 1);
  return prefix;
}

/** Returns what comes before so many bytes, which are the only field of their message. `tag`: its number and wire type, in one byte. */
export function chunkHead(tag: number, bytes: number): Buffer {
  const field = [tag];
  let rest = bytes;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) field.push((rest % 0x80) + 0x80);
  field.push(rest);
  const head = Buffer.allocUnsafe(PREFIX_BYTES + field.length);
  head.set(prefixOf(field.length + bytes));
  head.set(field, PREFIX_BYTES);
  return head;
}

/**
 * Returns the bytes of the head, where the message at that place is nothing but such a field; PREFIX_BYTES where it is
 * another one, undefined where too little has arrived to know.
 */
export function chunkHeadBytes(bytes: Buffer, at: number, tag: number): number | undefined {
  const contentAt = at + PREFIX_BYTES;
  if (contentAt > bytes.length) return undefined;
  const length = bytes.readUInt32BE(at + 1);
  if (length === 0 || (bytes[at]! & COMPRESSED) !== 0) return PREFIX_BYTES;
  if (contentAt === bytes.length) return undefined;
  if (bytes[contentAt] !== tag) return PREFIX_BYTES;
  let chunkBytes = 0;
  const most = Math.min(MAX_LENGTH_BYTES, length - 1);
  for (let digit = 0; digit < most; digit += 1) {
    const byte = bytes[contentAt + 1 + digit];
    if (byte === undefined) return undefined;
    chunkBytes += (byte & 0x7f) * 2 ** (7 * digit);
    if (byte >= 0x80) continue;
    const headBytes = 1 + digit + 1;
    return headBytes + chunkBytes === length ? PREFIX_BYTES + headBytes : PREFIX_BYTES;
  }
  return PREFIX_BYTES;
}
