/** Random access to a file, for the readers of embedded metadata. */
import type { PathLike } from 'node:fs';
import { open } from 'node:fs/promises';

/** Returns up to `lengthBytes` at that position; fewer at the end of the file, or of its known part. */
export type ReadAt = (position: number, lengthBytes: number) => Promise<Buffer>;

/** Reads bytes in memory, which may be only the beginning of a file. */
export function readerOf(bytes: Uint8Array): ReadAt {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return async (position, lengthBytes) => buffer.subarray(position, position + lengthBytes);
}

/** Reads a file, which is opened for each read. */
export function readerOfFile(path: PathLike): ReadAt {
  return async (position, lengthBytes) => {
    if (lengthBytes <= 0) return Buffer.alloc(0);
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.allocUnsafe(lengthBytes), position });
    return buffer.subarray(0, bytesRead);
  };
}
