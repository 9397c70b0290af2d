/** Runs the parser of an image format over bytes that arrive in chunks of any size. */
import { StorageError } from '../domain/errors.ts';

/** What a parser needs before it can go on. */
export type Demand =
  /** Exactly so many bytes, handed over as one Buffer that is valid until the next demand. */
  | { kind: 'take'; bytes: number }
  /** Passes over so many bytes unseen. */
  | { kind: 'skip'; bytes: number }
  /** Looks through what has arrived from `at` on; answers where to go on, or -1 to see the next bytes as well. */
  | { kind: 'scan'; scan: Scan }
  /** Like `take`, or no bytes where the file ends right here. */
  | { kind: 'takeUnlessEnd'; bytes: number }
  /** Passes over everything up to the end of the file. */
  | { kind: 'rest' };

export type Scan = (chunk: Buffer, at: number) => number;

/** Pixels. */
export interface Dimensions {
  width: number;
  height: number;
}

/** Returns once the image has ended; what follows is not looked at. Throws IMAGE_TRUNCATED (`damaged`). */
export type Parser = Generator<Demand, Dimensions, Buffer>;

export interface Format {
  contentType: string;
  extension: string;
  /** As messages call it. */
  name: string;
  /** What a cut file lacks, as in "it ends before its …". */
  end: string;
  /** Whether a file may begin like this; `head` is 12 bytes or more unless the file is shorter. */
  matches(head: Buffer): boolean;
  /** Reads from the first byte on. `position` is how many bytes have been taken or passed over. */
  parse(position: () => number): Parser;
}

export const take = (bytes: number): Demand => ({ kind: 'take', bytes });
export const takeUnlessEnd = (bytes: number): Demand => ({ kind: 'takeUnlessEnd', bytes });
export const skip = (bytes: number): Demand => ({ kind: 'skip', bytes });
export const scan = (look: Scan): Demand => ({ kind: 'scan', scan: look });
export const rest: Demand = { kind: 'rest' };

const NOTHING = Buffer.alloc(0);

/** The error of bytes that cannot belong to a whole image. */
export function damaged(problem: string): StorageError {
  return new StorageError('IMAGE_TRUNCATED', `damaged or truncated: ${problem}`);
}

/** The dimensions, unless one of them is zero. */
export function dimensions(width: number, height: number): Dimensions {
  if (width === 0 || height === 0) throw damaged(`its header says ${width} × ${height} pixels`);
  return { width, height };
}

/** One image on its way through the parser of its format. */
export class ParserRun {
  readonly #format: Format;
  readonly #parser: Parser;
  #demand: Demand = skip(0);
  #result: Dimensions | undefined;
  #position = 0;
  /** Bytes of the demand that have arrived, for `skip` and `take`. */
  #arrived = 0;
  /** Where a `take` that spans chunks is put together. */
  #joined: Buffer = NOTHING;

  constructor(format: Format) {
    this.#format = format;
    this.#parser = format.parse(() => this.#position);
    this.#resume(NOTHING);
  }

  /** IMAGE_TRUNCATED where the structure is broken. */
  push(chunk: Buffer): void {
    let at = 0;
    while (this.#result === undefined) {
      const next = this.#serve(chunk, at);
      if (next === -1) return;
      at = next;
    }
  }

  /** IMAGE_TRUNCATED when the image goes on beyond the last byte. */
  finish(): Dimensions {
    const endIsFine = this.#demand.kind === 'rest' || (this.#demand.kind === 'takeUnlessEnd' && this.#arrived === 0);
    if (this.#result === undefined && endIsFine) this.#resume(NOTHING);
    if (this.#result !== undefined) return this.#result;
    const { name, end } = this.#format;
    throw new StorageError(
      'IMAGE_TRUNCATED',
      `truncated: the ${name} ends after ${this.#position} bytes, before its ${end}`,
    );
  }

  /** Gives the parser what it asked for; answers where the chunk goes on, or -1 when it is used up. */
  #serve(chunk: Buffer, at: number): number {
    const demand = this.#demand;
    if (demand.kind === 'scan') return this.#scan(demand.scan, chunk, at);
    if (demand.kind === 'rest') return this.#passOver(chunk.length - at);
    const available = Math.min(demand.bytes - this.#arrived, chunk.length - at);
    const isWhole = this.#arrived + available === demand.bytes;
    const bytes = demand.kind === 'skip' ? NOTHING : this.#join(chunk.subarray(at, at + available), demand.bytes);
    this.#arrived += available;
    this.#passOver(available);
    if (!isWhole) return -1;
    this.#resume(bytes);
    return at + available;
  }

  #scan(look: Scan, chunk: Buffer, at: number): number {
    const found = look(chunk, at);
    this.#passOver((found === -1 ? chunk.length : found) - at);
    if (found !== -1) this.#resume(NOTHING);
    return found;
  }

  #passOver(bytes: number): -1 {
    this.#position += bytes;
    return -1;
  }

  /** What has arrived of `wanted` bytes; a view of the chunk where it holds all of them. */
  #join(piece: Buffer, wanted: number): Buffer {
    if (piece.length === wanted) return piece;
    if (this.#arrived === 0) this.#joined = Buffer.allocUnsafe(wanted);
    this.#joined.set(piece, this.#arrived);
    return this.#joined;
  }

  #resume(bytes: Buffer): void {
    this.#arrived = 0;
    // A parser that throws is over: nothing that still comes may reach it.
    this.#demand = rest;
    const step = this.#parser.next(bytes);
    if (step.done) this.#result = step.value;
    else this.#demand = step.value;
  }
}
