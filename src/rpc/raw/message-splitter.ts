/** Takes the messages of an upload apart where they lie, and knows its chunks without decoding them. */
import { COMPRESSED, chunkHeadBytes, PREFIX_BYTES } from '../envelope.ts';

const NOTHING = Buffer.alloc(0);

/** Who hears what is found, in its order. What it throws is thrown by `push`. */
export interface Found {
  /** A message begins that is nothing but a chunk. */
  chunk(sizeBytes: number): void;
  chunkBytes(bytes: Buffer): void;
  /** Another message begins. Returns false where its bytes may not come yet. */
  message(sizeBytes: number, isCompressed: boolean): boolean;
  messageBytes(bytes: Buffer): void;
  /** A message that is no chunk is whole. Returns false where what follows may not come yet. */
  messageEnd(): boolean;
}

export class MessageSplitter {
  readonly #chunkTag: number;
  readonly #found: Found;
  #expected: 'head' | 'chunk' | 'message' = 'head';
  /** Bytes of the chunk or message that have not arrived. */
  #rest = 0;
  /** The beginning of a message, too short to know it. */
  #head: Buffer = NOTHING;
  #isFirst = true;

  /** `chunkTag`: number and wire type, in one byte, of the field that brings chunks. The first message is no chunk. */
  constructor(chunkTag: number, found: Found) {
    this.#chunkTag = chunkTag;
    this.#found = found;
  }

  /** Whether nothing but whole messages has arrived. */
  get isBetweenMessages(): boolean {
    return this.#expected === 'head' && this.#head.length === 0;
  }

  /** Takes the next bytes. Returns those that may not come yet, or none. */
  push(piece: Buffer): Buffer {
    // Rare: a few bytes of one message in one piece, the rest in the next.
    const bytes = this.#head.length === 0 ? piece : Buffer.concat([this.#head, piece]);
    this.#head = NOTHING;
    for (let at = 0; at < bytes.length; ) {
      if (this.#expected !== 'head') {
        const part = at === 0 && bytes.length <= this.#rest ? bytes : bytes.subarray(at, at + this.#rest);
        at += part.length;
        if (!this.#take(part)) return bytes.subarray(at);
        continue;
      }
      const headBytes = this.#headBytes(bytes, at);
      if (headBytes === undefined) {
        this.#head = at === 0 ? bytes : Buffer.from(bytes.subarray(at));
        break;
      }
      const isChunk = headBytes > PREFIX_BYTES;
      const sizeBytes = bytes.readUInt32BE(at + 1) + PREFIX_BYTES - headBytes;
      const isCompressed = (bytes[at]! & COMPRESSED) !== 0;
      at += headBytes;
      if (isChunk) this.#beginChunk(sizeBytes);
      else if (!this.#beginMessage(sizeBytes, isCompressed)) return bytes.subarray(at);
    }
    return NOTHING;
  }

  #beginChunk(sizeBytes: number): void {
    this.#found.chunk(sizeBytes);
    this.#rest = sizeBytes;
    if (sizeBytes > 0) this.#expected = 'chunk';
  }

  #beginMessage(sizeBytes: number, isCompressed: boolean): boolean {
    this.#isFirst = false;
    const goesOn = this.#found.message(sizeBytes, isCompressed);
    this.#rest = sizeBytes;
    if (sizeBytes > 0) this.#expected = 'message';
    else return this.#found.messageEnd() && goesOn;
    return goesOn;
  }

  /** Returns false where what follows may not come yet. */
  #take(bytes: Buffer): boolean {
    const isChunk = this.#expected === 'chunk';
    this.#rest -= bytes.length;
    if (this.#rest === 0) this.#expected = 'head';
    if (isChunk) this.#found.chunkBytes(bytes);
    else this.#found.messageBytes(bytes);
    return this.#rest > 0 || isChunk || this.#found.messageEnd();
  }

  #headBytes(bytes: Buffer, at: number): number | undefined {
    if (!this.#isFirst) return chunkHeadBytes(bytes, at, this.#chunkTag);
    return at + PREFIX_BYTES > bytes.length ? undefined : PREFIX_BYTES;
  }
}
