/** Reads bytes that arrive in pieces, as many as are asked for. */

const NOTHING = Buffer.alloc(0);

export class PieceReader {
  readonly #pieces: AsyncIterator<Buffer>;
  #piece: Buffer = NOTHING;

  constructor(pieces: AsyncIterable<Buffer>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** The bytes that are there already. */
  get buffered(): Buffer {
    return this.#piece;
  }

  /** Returns what is there, up to so many bytes, and waits where nothing is; undefined at the end. */
  async some(maxBytes: number): Promise<Buffer | undefined> {
    if (this.#piece.length === 0 && !(await this.#fetch())) return undefined;
    return this.#take(maxBytes);
  }

  /** Returns so many bytes, fewer only at the end. */
  async exactly(bytes: number): Promise<Buffer> {
    if (this.#piece.length >= bytes) return this.#take(bytes);
    const parts: Buffer[] = [];
    for (let left = bytes; left > 0; ) {
      const part = await this.some(left);
      if (part === undefined) break;
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** Returns at least so many bytes, fewer only at the end, and leaves them there. */
  async peek(bytes: number): Promise<Buffer> {
    while (this.#piece.length < bytes) {
      const before = this.#piece;
      if (!(await this.#fetch())) break;
      if (before.length > 0) this.#piece = Buffer.concat([before, this.#piece]);
    }
    return this.#piece;
  }

  /** Passes over bytes that are there. */
  skip(bytes: number): void {
    this.#piece = this.#piece.subarray(bytes);
  }

  /** Ends the source, though it may have more. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  #take(bytes: number): Buffer {
    const taken = this.#piece.subarray(0, bytes);
    this.#piece = this.#piece.subarray(taken.length);
    return taken;
  }

  async #fetch(): Promise<boolean> {
    const { done, value } = await this.#pieces.next();
    if (!done) this.#piece = value;
    return !done;
  }
}
