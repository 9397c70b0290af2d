/** The files and pipes that a command line names as images. */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { addAbortSignal } from 'node:stream';
import type { Source } from '../client.ts';

/** The argument that means stdin. */
export const STDIN = '-';

/** What is to be sent of one argument. */
export interface Input {
  source: Source;
  /** The beginning of the bytes, where generators leave their metadata. */
  head: Uint8Array;
}

/** Metadata may have 1 MiB, and lies before the pixels. */
const HEAD_BYTES = 2 * 1024 * 1024;
/** Reads the head; the rest is left to who sends it. The signal ends the waiting for a pipe. */
export async function openInput(file: string, signal: AbortSignal): Promise<Input> {
  if (file === STDIN) return openStream(addAbortSignal(signal, process.stdin));
  // A pipe or device that is named as a file can be read only once, like stdin.
  if (!(await stat(file)).isFile()) return openStream(createReadStream(file, { signal }));
  await using handle = await open(file);
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.allocUnsafe(HEAD_BYTES) });
  return { source: { file }, head: buffer.subarray(0, bytesRead) };
}

async function openStream(stream: AsyncIterable<Uint8Array>): Promise<Input> {
  const iterator = stream[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  for (let bytes = 0; bytes < HEAD_BYTES; ) {
    const next = await iterator.next();
    if (next.done) break;
    chunks.push(next.value);
    bytes += next.value.length;
  }
  async function* source() {
    yield* chunks.splice(0);
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { source: source(), head: Buffer.concat(chunks) };
}

/** Of the files that have a size; what is missing is told when its turn comes. */
export async function totalBytes(files: readonly string[]): Promise<number> {
  const sizeOf = (file: string) => stat(file).then(({ size }) => size);
  const sizes = await Promise.allSettled(files.map(sizeOf));
  return sizes.reduce((total, size) => total + (size.status === 'fulfilled' ? size.value : 0), 0);
}
