/** Reading a file here and there: what the readers of embedded metadata need of one. */
import type { PathLike } from 'node:fs';
import { open } from 'node:fs/promises';

/** Up to `lengthBytes` at that position; fewer where the file, or what is known of it, ends. */
export type ReadAt = (position: number, lengthBytes: number) => Promise<Buffer>;

/** Of bytes in memory; they may be the beginning of a file. */
export function readerOf(bytes: Uint8Array): ReadAt {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return async (position, lengthBytes) => buffer.subarray(position, position + lengthBytes);
}

/** Of a file, which is opened for each part. */
export function readerOfFile(path: PathLike): ReadAt {
  return async (position, lengthBytes) => {
    if (lengthBytes <= 0) return Buffer.alloc(0);
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.allocUnsafe(lengthBytes), position });
    return buffer.subarray(0, bytesRead);
  };
}
