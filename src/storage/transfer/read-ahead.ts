/** Reads a file in chunks, each while the one before is used. */
import type { FileHandle } from 'node:fs/promises';
import { StorageError } from '../domain/errors.ts';
import { CHUNK_BYTES } from './body.ts';

export interface ReadRange {
  offset: number;
  length: number;
  /** Whether a chunk is needed only until the next is asked for. */
  reuseMemory?: boolean;
}

/** Throws BYTES_CORRUPT where the file ends early. */
export async function* readAhead(file: FileHandle, range: ReadRange): AsyncGenerator<Uint8Array> {
  const { offset, length, reuseMemory = false } = range;
  let spare: Buffer | undefined;
  const read = (done: number): Promise<Buffer> | undefined => {
    if (done >= length) return undefined;
    const buffer = spare ?? Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, length - done));
    spare = undefined;
    const reading = readFully(file, buffer.subarray(0, length - done), offset + done);
    // Whoever waits for it hears of its failure.
    reading.catch(() => undefined);
    return reading;
  };
  let next = read(0);
  let done = 0;
  try {
    while (next !== undefined) {
      const chunk = await next;
      done += chunk.length;
      next = read(done);
      yield chunk;
      if (!reuseMemory) continue;
      if (done + CHUNK_BYTES < length) spare = Buffer.from(chunk.buffer);
      else (chunk.buffer as ArrayBuffer).transfer(0);
    }
  } finally {
    // The file is closed next.
    await next?.catch(() => undefined);
  }
}

async function readFully(file: FileHandle, buffer: Buffer, position: number): Promise<Buffer> {
  for (let done = 0; done < buffer.length; ) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done);
    if (bytesRead === 0) throw new StorageError('BYTES_CORRUPT', 'the stored file ends early');
    done += bytesRead;
  }
  return buffer;
}
