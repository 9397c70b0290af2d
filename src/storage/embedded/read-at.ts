/** Random access to a file, for the readers of embedded metadata. */
import type { PathLike } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Returns up to `lengthBytes` at that position; fewer at the end of the file, or of its known part. */
export type ReadAt = (position: number, lengthBytes: number) => Promise<Buffer>;

/** Reads bytes in memory, which may be only the beginning of a file. */
export function readerOf(bytes: Uint8Array): ReadAt {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return async (position, lengthBytes) => buffer.subarray(position, position + lengthBytes);
}

/** Reads an open file. */
export function readerOfHandle(file: FileHandle): ReadAt {
  return async (position, lengthBytes) => {
    if (lengthBytes <= 0) return Buffer.alloc(0);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.allocUnsafe(lengthBytes), position });
    return buffer.subarray(0, bytesRead);
  };
}

/** Reads a file, which is opened for each read. */
export function readerOfFile(path: PathLike): ReadAt {
  return async (position, lengthBytes) => {
    await using file = await open(path);
    return await readerOfHandle(file)(position, lengthBytes);
  };
}
