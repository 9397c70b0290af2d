/** Opens the files and pipes that a command line names as images. */
import { createHash } from 'node:crypto';
import { createReadStream, type PathLike } from 'node:fs';
import { stat } from 'node:fs/promises';
import { addAbortSignal } from 'node:stream';
import type { Source } from '../../client.ts';
import { HEAD_BYTES } from '../../storage/embedded/png-text.ts';
import { type ReadAt, readerOf, readerOfFile } from '../../storage/embedded/read-at.ts';

/** The argument that means stdin. */
export const STDIN = '-';
/** gRPC's INVALID_ARGUMENT; grpc-js is not loaded for a number. */
const INVALID_ARGUMENT = 3;

/** The bytes of one argument. */
export interface Input {
  /** In memory where the head is the whole image. */
  source: Source;
  /** Reads within the head of a pipe, or anywhere in a file. */
  readAt: ReadAt;
}

/** Reads the head and leaves the rest to the sender. The signal ends the wait for a pipe. */
export async function openInput(file: PathLike, signal: AbortSignal): Promise<Input> {
  if (file === STDIN) return openStream(addAbortSignal(signal, process.stdin));
  const stats = await stat(file);
  if (stats.isDirectory()) {
    // Loaded already: by the connection.
    const { ImageStorageError } = await import('../../client.ts');
    throw new ImageStorageError(INVALID_ARGUMENT, 'is a folder: image-storage import takes folders');
  }
  // A pipe or device that is named as a file can be read only once, like stdin.
  if (!stats.isFile()) return openStream(createReadStream(file, { signal }));
  const readFile = readerOfFile(file);
  const head = await readFile(0, Math.min(stats.size, HEAD_BYTES));
  const readHead = readerOf(head);
  if (head.length === stats.size) return { source: head, readAt: readHead };
  return {
    source: { file },
    readAt: (position, lengthBytes) =>
      position + lengthBytes <= head.length ? readHead(position, lengthBytes) : readFile(position, lengthBytes),
  };
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
  const readAt = readerOf(Buffer.concat(chunks));
  async function* source() {
    yield* chunks.splice(0);
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { source: source(), readAt };
}

/** Returns the sha256 of a file, in lower-case hex. */
export async function sha256Of(path: PathLike): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

/** Returns those that are no files, such as pipes and devices; a missing one is reported when its turn comes. */
export async function readableOnce(files: readonly string[]): Promise<string[]> {
  const stats = await Promise.allSettled(files.map((file) => stat(file)));
  return files.filter((_, i) => {
    const of = stats[i]!;
    return of.status === 'fulfilled' && !of.value.isFile() && !of.value.isDirectory();
  });
}

/** Returns the sum of the sizes. A missing file counts as 0 and is reported when its turn comes. */
export async function totalBytes(files: readonly string[]): Promise<number> {
  const sizeOf = (file: string) => stat(file).then(({ size }) => size);
  const sizes = await Promise.allSettled(files.map(sizeOf));
  return sizes.reduce((total, size) => total + (size.status === 'fulfilled' ? size.value : 0), 0);
}
