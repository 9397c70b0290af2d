/** Reads bytes that arrive in pieces, as many as are asked for. */
import type { Arrived } from './caller-key.ts';

const NOTHING = Buffer.alloc(0);
const FIRST_BYTES = 4096;

export class PieceReader {
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #arrived: Arrived;
  #piece: Buffer = NOTHING;

  /** Counts all bytes in `arrived` as they come. */
  constructor(pieces: AsyncIterable<Buffer>, arrived: Arrived) {
    this.#pieces = pieces[Symbol.asyncIterator]();
    this.#arrived = arrived;
  }

  /** The bytes that are there already. */
  get buffered(): Buffer {
    return this.#piece;
  }

  /** Returns so many bytes, fewer only at the end: views of what is there, or a copy. */
  async exactly(bytes: number): Promise<Buffer> {
    if (this.#piece.length >= bytes) return this.#take(bytes);
    const target = Buffer.allocUnsafe(bytes);
    return target.subarray(0, await this.fill(target));
  }

  /** Copies the next bytes, and returns how many; fewer than there is room only at the end. */
  async fill(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      if (this.#piece.length === 0 && !(await this.#fetch())) break;
      const piece = this.#take(target.length - filled);
      target.set(piece, filled);
      filled += piece.length;
    }
    return filled;
  }

  /** Returns all bytes up to so many, in a buffer that grows with them. */
  async upTo(bytes: number): Promise<Buffer> {
    let target = Buffer.allocUnsafe(Math.min(bytes, FIRST_BYTES));
    let filled = await this.fill(target);
    while (filled === target.length && filled < bytes) {
      const grown = Buffer.allocUnsafe(Math.min(bytes, 2 * filled));
      target.copy(grown);
      target = grown;
      filled += await this.fill(target.subarray(filled));
    }
    return target.subarray(0, filled);
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
    if (done) return false;
    this.#piece = value;
    this.#arrived.bytes += value.length;
    return true;
  }
}
