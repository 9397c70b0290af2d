/** Reads a file in chunks, each while the one before is used. */
import { StorageError } from '../domain/errors.ts';
import { readOnce } from './descriptors.ts';

export interface ReadRange {
  offset: number;
  length: number;
  chunkBytes: number;
  /** Whether a chunk is needed only until the next is asked for. */
  reuseMemory?: boolean;
}

/** Throws BYTES_CORRUPT where the file ends early. */
export async function* readAhead(descriptor: number, range: ReadRange): AsyncGenerator<Uint8Array> {
  const { offset, length, chunkBytes, reuseMemory = false } = range;
  let spare: Buffer | undefined;
  const read = (done: number): Promise<Buffer> | undefined => {
    if (done >= length) return undefined;
    const buffer = spare ?? Buffer.allocUnsafeSlow(Math.min(chunkBytes, length - done));
    spare = undefined;
    const reading = readFully(descriptor, buffer.subarray(0, length - done), offset + done);
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
      if (done + chunkBytes < length) spare = Buffer.from(chunk.buffer);
      else (chunk.buffer as ArrayBuffer).transfer(0);
    }
  } finally {
    // The file is closed next.
    await next?.catch(() => undefined);
  }
}

/** Fills the buffer. Rejects with BYTES_CORRUPT where the file ends early. */
export async function readFully(descriptor: number, buffer: Buffer, position: number): Promise<Buffer> {
  for (let done = 0; done < buffer.length; ) {
    const bytesRead = await readOnce(descriptor, done === 0 ? buffer : buffer.subarray(done), position + done);
    if (bytesRead === 0) throw new StorageError('BYTES_CORRUPT', 'the stored file ends early');
    done += bytesRead;
  }
  return buffer;
}
