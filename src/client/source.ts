/** Makes the bytes of an image readable again for a retry, as far as possible. */
import { createHash } from 'node:crypto';
import { createReadStream, type PathLike } from 'node:fs';
import type { Source } from './types.ts';

export const CHUNK_BYTES = 256 * 1024;
/** The most bytes to keep of a stream that can be read only once. */
const MAX_BUFFERED_BYTES = 64 * 1024 * 1024;

export interface OpenSource {
  /** Set for bytes in memory, whose size and digest are known before the first one is sent. */
  declared: { size?: bigint; sha256?: Uint8Array };
  /** Reads from the beginning. Only one reading at a time. */
  read(): AsyncIterable<Uint8Array>;
  /** Returns whether `read` may be called again. */
  rewindable(): boolean;
  /** Closes a stream that was not read to its end. */
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

/**
 * Keeps what was read, up to MAX_BUFFERED_BYTES. A chunk that arrives after a reading was abandoned goes to the next
 * one.
 */
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
    // Not awaited: a generator returns only after the chunk that it awaits, which may never come.
    close: () => void iterator.return?.()?.catch(() => {}),
  };
}

/** Yields the bytes in pieces that the daemon accepts. Never waits to fill one, since the daemon limits the gaps. */
async function* chunksOf(source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of source) {
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES) yield bytes.subarray(start, start + CHUNK_BYTES);
  }
}
