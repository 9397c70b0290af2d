/** Chunks of an upload among enveloped messages: found without decoding them. */
import { StorageError } from '../storage/domain/errors.ts';
import { checkEmptyChunks } from './empty-chunks.ts';
import { chunkHeadBytes, PREFIX_BYTES } from './envelope.ts';
import type { PieceReader } from './piece-reader.ts';

/** Chunks up to this size are joined where several have arrived, until they have the other. */
const SMALL_BYTES = 4 * 1024;
const JOINED_BYTES = 64 * 1024;

/** The field of a message that is nothing but a chunk. */
export interface ChunkField {
  /** Of its number and wire type; one byte. */
  tag: number;
  maxBytes: number;
}

/** Offsets of the chunk's bytes. */
interface Found {
  start: number;
  end: number;
}

/** Finds the chunks of one upload. */
export class ChunkMessages {
  readonly #reader: PieceReader;
  readonly #field: ChunkField;
  #empty = 0;

  constructor(reader: PieceReader, field: ChunkField) {
    this.#reader = reader;
    this.#field = field;
  }

  /** Takes the bytes of all the small chunks that have arrived; undefined where none comes next. */
  takeSmall(): Buffer | undefined {
    const { buffered } = this.#reader;
    const most = Math.min(JOINED_BYTES, this.#field.maxBytes);
    let joined: Buffer | undefined;
    let [at, bytes] = [0, 0];
    for (;;) {
      const found = this.#find(buffered, at);
      if (typeof found === 'string' || found.end > buffered.length || found.end - found.start > SMALL_BYTES) break;
      if (bytes + found.end - found.start > most) break;
      this.#check(found);
      // Views of single bytes would take a hundred times their memory.
      joined ??= Buffer.allocUnsafe(Math.min(buffered.length, most));
      bytes += buffered.copy(joined, bytes, found.start, found.end);
      at = found.end;
    }
    this.#reader.skip(at);
    return joined?.subarray(0, bytes);
  }

  /** Passes over what comes before the bytes of the next chunk and returns their number; undefined where none comes. */
  async begin(): Promise<number | undefined> {
    let buffered = await this.#reader.peek(PREFIX_BYTES);
    let found = this.#find(buffered, 0);
    while (found === 'unknown') {
      const { length } = buffered;
      buffered = await this.#reader.peek(length + 1);
      if (buffered.length === length) return undefined;
      found = this.#find(buffered, 0);
    }
    if (found === 'other') return undefined;
    this.#check(found);
    this.#reader.skip(found.start);
    return found.end - found.start;
  }

  #find(buffer: Buffer, at: number): Found | 'other' | 'unknown' {
    const headBytes = chunkHeadBytes(buffer, at, this.#field.tag);
    if (headBytes === undefined) return 'unknown';
    if (headBytes === PREFIX_BYTES) return 'other';
    return { start: at + headBytes, end: at + PREFIX_BYTES + buffer.readUInt32BE(at + 1) };
  }

  #check({ start, end }: Found): void {
    const bytes = end - start;
    const { maxBytes } = this.#field;
    if (bytes > maxBytes) {
      throw new StorageError('MESSAGE_TOO_LARGE', `a chunk of ${bytes} bytes, at most ${maxBytes} are accepted`);
    }
    if (bytes > 0) return;
    this.#empty += 1;
    checkEmptyChunks(this.#empty);
  }
}
