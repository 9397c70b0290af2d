/** Inflates messages and stops at their limit: what a few bytes claim to become is never made. */
import { createGunzip } from 'node:zlib';
import type { Compression } from '@connectrpc/connect/protocol';
import { compressionGzip } from '@connectrpc/connect-node';
import { StorageError } from '../storage/domain/errors.ts';

const PIECE_BYTES = 64 * 1024;
/** Of a request in a URL, which connect inflates itself. */
const MAX_URL_BYTES = 16 * 1024;

/** Yields the pieces as they come. Throws MESSAGE_TOO_LARGE beyond the limit, FIELD_INVALID for what is no gzip. */
export async function* inflate(bytes: Uint8Array, maxBytes: number): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: PIECE_BYTES });
  gunzip.end(bytes);
  let size = 0;
  try {
    for await (const piece of gunzip) {
      size += piece.length;
      if (size > maxBytes) throw tooLarge();
      yield piece;
    }
  } catch (error) {
    if (error instanceof StorageError) throw error;
    throw new StorageError('FIELD_INVALID', 'a message cannot be decoded: it is damaged', { cause: error });
  } finally {
    gunzip.destroy();
  }
}

/** Returns the pieces as one, and frees them: left to the garbage collector, they pile up. */
export function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  for (const { buffer } of pieces) if (buffer.byteLength > 0) (buffer as ArrayBuffer).transfer(0);
  return whole;
}

export function tooLarge(): StorageError {
  return new StorageError('MESSAGE_TOO_LARGE', 'a message is larger than the daemon accepts');
}

/** What clients may compress with. */
export const gzip: Compression = {
  ...compressionGzip,
  async decompress(bytes, maxBytes) {
    const pieces: Uint8Array[] = [];
    for await (const piece of inflate(bytes, Math.min(maxBytes, MAX_URL_BYTES))) pieces.push(piece);
    return new Uint8Array(Buffer.concat(pieces));
  },
};
