/** Reading a file here and there: what the readers of embedded metadata need of one. */

/** Up to `lengthBytes` at that position; fewer where the file, or what is known of it, ends. */
export type ReadAt = (position: number, lengthBytes: number) => Promise<Buffer>;

/** Of bytes in memory; they may be the beginning of a file. */
export function readerOf(bytes: Uint8Array): ReadAt {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return async (position, lengthBytes) => buffer.subarray(position, position + lengthBytes);
}
