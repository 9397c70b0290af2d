/** Sends the bytes of an image: cuts them to chunks of bounded size, and hashes them as they pass. */
import { createHash } from 'node:crypto';
import { StorageError } from '../domain/errors.ts';
import type { ImageRecord } from '../domain/record.ts';

/** The largest chunk of a body: it fits into one message. */
export const CHUNK_BYTES: number = 256 * 1024;

/**
 * Yields the bytes in chunks of at most 256 KiB. Throws BYTES_CORRUPT at the end of a whole image whose sha256 differs.
 */
export async function* bodyOf(
  record: ImageRecord,
  bytes: AsyncIterable<Uint8Array>,
  length: number,
): AsyncGenerator<Uint8Array> {
  const hash = length === record.size ? createHash('sha256') : undefined;
  for await (const chunk of bytes) {
    hash?.update(chunk);
    for (let start = 0; start < chunk.length; start += CHUNK_BYTES) yield chunk.subarray(start, start + CHUNK_BYTES);
  }
  if (hash !== undefined && hash.digest('hex') !== record.sha256) throw bytesCorrupt();
}

export function bytesCorrupt(): StorageError {
  return new StorageError('BYTES_CORRUPT', 'the stored bytes are not those that were saved');
}
