/** Makes the bytes of an image readable again for a second attempt, as far as that is possible. */
import { createHash } from 'node:crypto';
import { createReadStream, type PathLike } from 'node:fs';
import type { Source } from './types.ts';

export const CHUNK_BYTES = 256 * 1024;
/** What is kept of a stream that cannot be read twice. */
const MAX_BUFFERED_BYTES = 64 * 1024 * 1024;

export interface OpenSource {
  /** Known before the first byte for bytes in memory only. */
  declared: { size?: bigint; sha256?: Uint8Array };
  /** Reads from the beginning. Only one reading at a time. */
  read(): AsyncIterable<Uint8Array>;
  /** Whether `read` may be called again. */
  rewindable(): boolean;
  /** Lets go of a stream that was not read to its end. */
  close(): void;
}

export function openSource(source: Source): OpenSource {
  if (source instanceof Uint8Array) return memorySource(source);
  return 'file' in source ? fileSource(source.file) : streamSource(source);
}

function memorySource(bytes: Uint8Array): OpenSource {
  const sha256 = createHash('sha256').update(bytes).digest();
  return {
    declared: { size: BigInt(bytes.length), sha256 },
    read: () => chunksOf([bytes]),
    rewindable: () => true,
    close: () => {},
  };
}

function fileSource(path: PathLike): OpenSource {
  const read = () => createReadStream(path, { highWaterMark: CHUNK_BYTES });
  return { declared: {}, read, rewindable: () => true, close: () => {} };
}

/** Keeps what it has read until that is too much. A chunk that arrives after a reading was given up is for the next one. */
function streamSource(stream: AsyncIterable<Uint8Array>): OpenSource {
  const iterator = stream[Symbol.asyncIterator]();
  const chunks: (Uint8Array | undefined)[] = [];
  let readBytes = 0;
  let keptFrom = 0;
  let done = false;
  let pulling: Promise<void> | undefined;

  const pull = async () => {
    const next = await iterator.next();
    if (next.done) {
      done = true;
      return;
    }
    chunks.push(next.value);
    readBytes += next.value.length;
  };
  const rewindable = () => readBytes <= MAX_BUFFERED_BYTES;

  async function* read() {
    for (let i = 0; ; i += 1) {
      while (i >= chunks.length && !done) {
        pulling ??= pull().finally(() => {
          pulling = undefined;
        });
        await pulling;
      }
      const chunk = chunks[i];
      if (chunk === undefined) return;
      yield chunk;
      if (rewindable()) continue;
      chunks.fill(undefined, keptFrom, i + 1);
      keptFrom = i + 1;
    }
  }

  return {
    declared: {},
    read: () => chunksOf(read()),
    rewindable,
    // Not awaited: a generator answers only after the chunk it is waiting for, which may never come.
    close: () => void iterator.return?.()?.catch(() => {}),
  };
}

/** The same bytes in pieces that the daemon takes; never waits to fill one, the daemon times the gaps. */
async function* chunksOf(source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of source) {
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES) yield bytes.subarray(start, start + CHUNK_BYTES);
  }
}
