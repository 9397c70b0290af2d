/** Runs the parser of an image format over bytes that arrive in chunks of any size. */
import type { ImageCheck } from '../domain/config.ts';
import { StorageError } from '../domain/errors.ts';
import { type Demand, damaged, NOTHING, reach, rest } from './walk.ts';
import { Watch } from './watch.ts';

/** Pixels. */
export interface Dimensions {
  width: number;
  height: number;
}

/** What a parser finds in a whole image. */
export interface Parsed extends Dimensions {
  /** True: no part of it is of a type that holds metadata. */
  isBare?: boolean;
}

/** Returns once the image has ended, and ignores what follows. Throws IMAGE_TRUNCATED (`damaged`). */
export type Parser = Generator<Demand, Parsed, Buffer>;

export interface Format {
  contentType: string;
  extension: string;
  /** The name in messages. */
  name: string;
  /** What a truncated file lacks, as in "it ends before its …". */
  end: string;
  /** Returns whether a file may begin like this; `head` is 12 bytes or more unless the file is shorter. */
  matches(head: Buffer): boolean;
  /**
   * Parses from the first byte on. `position` returns how many bytes have passed; at the end of the file, all. Without
   * a watch, only the parts of the file are checked, not what is in them.
   */
  parse(position: () => number, watch?: Watch): Parser;
}

/** Returns the dimensions. Throws IMAGE_TRUNCATED when one of them is zero. */
export function dimensions(width: number, height: number): Dimensions {
  if (width === 0 || height === 0) throw damaged(`its header says ${width} × ${height} pixels`);
  return { width, height };
}

/** Feeds the chunks of one image to the parser of its format. */
export class ParserRun {
  readonly #format: Format;
  readonly #watch: Watch | undefined;
  readonly #parser: Parser;
  #demand: Demand = reach(0);
  #result: Parsed | undefined;
  /** The offset of the chunk in the file. */
  #position = 0;
  /** The bytes of a demand that spans chunks. */
  #joined: Buffer = NOTHING;

  constructor(format: Format, check: ImageCheck, signal?: AbortSignal) {
    this.#format = format;
    this.#watch = check === 'ends' ? undefined : new Watch(check === 'pixels', signal);
    this.#parser = format.parse(() => this.#position, this.#watch);
    this.#resume(NOTHING);
  }

  /**
   * Throws IMAGE_TRUNCATED when the structure is broken. Returns a promise while pixels are decompressed, which rejects
   * like that, too.
   */
  push(chunk: Buffer): Promise<void> | undefined {
    try {
      this.#parse(chunk);
    } finally {
      // Also where the parser has thrown: what is damaged before that place is the cause.
      this.#watch?.pass(this.#position, chunk);
    }
    this.#position += chunk.length;
    return this.#watch?.takeWork();
  }

  #parse(chunk: Buffer): void {
    while (this.#result === undefined) {
      const answer = this.#answer(chunk);
      if (answer === undefined) break;
      this.#resume(answer);
    }
  }

  /** Throws IMAGE_TRUNCATED when the image continues beyond the last byte. */
  finish(): Parsed {
    this.#watch?.finish();
    const demand = this.#demand;
    const endIsFine = demand.kind === 'rest' || (demand.kind === 'readUnlessEnd' && demand.at === this.#position);
    if (this.#result === undefined && endIsFine) this.#resume(NOTHING);
    if (this.#result !== undefined) return this.#result;
    const { name, end } = this.#format;
    throw new StorageError(
      'IMAGE_TRUNCATED',
      `truncated: the ${name} ends after ${this.#position} bytes, before its ${end}`,
    );
  }

  /** Returns a view of the chunk when it holds all of the demanded bytes; undefined until all have arrived. */
  #answer(chunk: Buffer): Buffer | undefined {
    const demand = this.#demand;
    if (demand.kind === 'rest') return undefined;
    const from = demand.at - this.#position;
    const to = from + demand.bytes;
    if (from >= 0 && to <= chunk.length) return chunk.subarray(from);
    if (from >= chunk.length) return undefined;
    if (from >= 0) this.#joined = Buffer.allocUnsafe(demand.bytes);
    this.#joined.set(chunk.subarray(Math.max(0, from), to), Math.max(0, -from));
    return to <= chunk.length ? this.#joined : undefined;
  }

  #resume(bytes: Buffer): void {
    // A parser that throws has ended: no later chunk may reach it.
    this.#demand = rest;
    const step = this.#parser.next(bytes);
    if (step.done) this.#result = step.value;
    else this.#demand = step.value;
  }
}
