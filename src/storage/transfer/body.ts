/** Sends the bytes of an image: cuts them to chunks of bounded size, and hashes them as they pass. */
import { createHash, hash } from 'node:crypto';
import { StorageError } from '../domain/errors.ts';
import type { SingleChunk } from '../domain/image.ts';
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
  onSent?: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const hashing = length === record.size ? createHash('sha256') : undefined;
  for await (const chunk of bytes) {
    hashing?.update(chunk);
    onSent?.(chunk.length);
    for (let start = 0; start < chunk.length; start += CHUNK_BYTES) yield chunk.subarray(start, start + CHUNK_BYTES);
  }
  if (hashing !== undefined && hashing.digest('hex') !== record.sha256) throw bytesCorrupt();
}

/** Returns a body that is a single chunk; hashes it where it is the whole image. */
export function singleChunk(
  { size, sha256 }: ImageRecord,
  bytes: Uint8Array,
  onSent?: (bytes: number) => void,
): SingleChunk {
  onSent?.(bytes.length);
  const isSound = bytes.length < size || hash('sha256', bytes) === sha256;
  return isSound ? { bytes } : { bytes, failure: bytesCorrupt() };
}

export function bytesCorrupt(): StorageError {
  return new StorageError('BYTES_CORRUPT', 'the stored bytes are not those that were saved');
}
