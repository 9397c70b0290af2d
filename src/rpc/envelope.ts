/** The envelope of a message in gRPC, gRPC-Web and Connect's streams. */

/** Flags, and the length of the message as four bytes. */
export const PREFIX_BYTES = 5;
/** The flag of a compressed message. */
export const COMPRESSED = 1;

export function prefixOf(length: number): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(length, 1);
  return prefix;
}
