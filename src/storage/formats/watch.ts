/** Shows ranges of a file to checks as their bytes pass, beside the parser that skips them. */

/** Sees a range of bytes once. May throw IMAGE_TRUNCATED. */
export interface Tap {
  /** Receives the range in order: the bytes from `from` up to `to`, which are valid during the call only. */
  take(bytes: Buffer, from: number, to: number): void;
  /** The whole range has passed. */
  end(): void;
}

interface Range {
  at: number;
  end: number;
  tap: Tap;
}

/** The ranges of one file. */
export class Watch {
  /** Whether pixels are decompressed, too. */
  readonly pixels: boolean;
  /** Ends the work that was begun. */
  readonly signal: AbortSignal | undefined;
  /** In the order of the file. */
  #ranges: Range[] = [];
  #work: Promise<void> | undefined;

  constructor(pixels: boolean, signal?: AbortSignal) {
    this.pixels = pixels;
    this.signal = signal;
  }

  /**
   * Shows a range that begins in the bytes that have not passed yet, behind all ranges so far. It must end before the
   * next bytes that the parser may refuse: the refusal would depend on how the file is cut into chunks.
   */
  tap(at: number, lengthBytes: number, tap: Tap): void {
    this.#ranges.push({ at, end: at + lengthBytes, tap });
  }

  /** Passes a chunk that begins at `position`. */
  pass(position: number, chunk: Buffer): void {
    const passed = position + chunk.length;
    let done = 0;
    for (const { at, end, tap } of this.#ranges) {
      const from = Math.max(at - position, 0);
      const to = Math.min(end - position, chunk.length);
      if (from < to) tap.take(chunk, from, to);
      if (end > passed) break;
      tap.end();
      done += 1;
    }
    if (done > 0) this.#ranges = this.#ranges.slice(done);
  }

  /** Ends the range that extends to the end of the file. */
  finish(): void {
    for (const { end, tap } of this.#ranges) if (end === Infinity) tap.end();
  }

  /** Holds the next chunk back until the work has succeeded; its failure refuses the image. */
  wait(work: Promise<void>): void {
    // Whoever pushes the chunk hears of it, unless the parser has refused the image already.
    work.catch(() => undefined);
    this.#work = work;
  }

  /** Returns the work that the chunk has begun, once. */
  takeWork(): Promise<void> | undefined {
    const work = this.#work;
    this.#work = undefined;
    return work;
  }
}
