/** Runs the parser of an image format over bytes that arrive in chunks of any size. */
import { StorageError } from '../domain/errors.ts';
import { type Demand, damaged, NOTHING, reach, rest, type Scan } from './walk.ts';

/** Pixels. */
export interface Dimensions {
  width: number;
  height: number;
}

/** Returns once the image has ended, and ignores what follows. Throws IMAGE_TRUNCATED (`damaged`). */
export type Parser = Generator<Demand, Dimensions, Buffer>;

export interface Format {
  contentType: string;
  extension: string;
  /** The name in messages. */
  name: string;
  /** What a truncated file lacks, as in "it ends before its …". */
  end: string;
  /** Returns whether a file may begin like this; `head` is 12 bytes or more unless the file is shorter. */
  matches(head: Buffer): boolean;
  /** Parses from the first byte on. `position` returns how many bytes were read or skipped. */
  parse(position: () => number): Parser;
}

/** Returns the dimensions. Throws IMAGE_TRUNCATED when one of them is zero. */
export function dimensions(width: number, height: number): Dimensions {
  if (width === 0 || height === 0) throw damaged(`its header says ${width} × ${height} pixels`);
  return { width, height };
}

/** Feeds the chunks of one image to the parser of its format. */
export class ParserRun {
  readonly #format: Format;
  readonly #parser: Parser;
  #demand: Demand = reach(0);
  #result: Dimensions | undefined;
  #position = 0;
  /** The bytes of a `read` that spans chunks. */
  #joined: Buffer = NOTHING;

  constructor(format: Format) {
    this.#format = format;
    this.#parser = format.parse(() => this.#position);
    this.#resume(NOTHING);
  }

  /** Throws IMAGE_TRUNCATED when the structure is broken. */
  push(chunk: Buffer): void {
    let at = 0;
    while (this.#result === undefined) {
      const next = this.#serve(chunk, at);
      if (next === -1) return;
      at = next;
    }
  }

  /** Returns the dimensions. Throws IMAGE_TRUNCATED when the image continues beyond the last byte. */
  finish(): Dimensions {
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

  /** Serves the parser's demand. Returns the offset at which the chunk continues, or -1 when it is used up. */
  #serve(chunk: Buffer, at: number): number {
    const demand = this.#demand;
    const from = demand.kind === 'rest' ? Infinity : at + Math.max(0, demand.at - this.#position);
    this.#position += Math.min(from, chunk.length) - at;
    if (from > chunk.length || demand.kind === 'rest') return -1;
    if (demand.kind === 'scan') return this.#scan(demand.scan, chunk, from);
    const arrived = this.#position - demand.at;
    const piece = chunk.subarray(from, from + demand.bytes - arrived);
    this.#position += piece.length;
    const bytes = this.#join(piece, arrived, demand.bytes);
    if (arrived + piece.length < demand.bytes) return -1;
    this.#resume(bytes);
    return from + piece.length;
  }

  #scan(look: Scan, chunk: Buffer, at: number): number {
    const found = look(chunk, at);
    this.#position += (found === -1 ? chunk.length : found) - at;
    if (found !== -1) this.#resume(NOTHING);
    return found;
  }

  /** Returns the bytes that have arrived of `wanted`; a view of the chunk when it holds all of them. */
  #join(piece: Buffer, arrived: number, wanted: number): Buffer {
    if (piece.length === wanted) return piece;
    if (arrived === 0) this.#joined = Buffer.allocUnsafe(wanted);
    this.#joined.set(piece, arrived);
    return this.#joined;
  }

  #resume(bytes: Buffer): void {
    // A parser that throws has ended: no later chunk may reach it.
    this.#demand = rest;
    const step = this.#parser.next(bytes);
    if (step.done) this.#result = step.value;
    else this.#demand = step.value;
  }
}
