/** The contract of a container's walker: it demands bytes of a file in order, and reports each part that it finds. */
import { StorageError } from '../domain/errors.ts';

/** What a walker needs to continue. Positions are offsets in the file; each is beyond the bytes demanded before. */
export type Demand =
  /**
   * These bytes at least, as one Buffer that is valid until the next demand. Whatever follows them may be in it, too: a
   * walker reads all headers in one answer before it demands the next.
   */
  | { kind: 'read'; at: number; bytes: number }
  /** The same, or no bytes when the file ends at `at`. */
  | { kind: 'readUnlessEnd'; at: number; bytes: number }
  /** Skips everything up to the end of the file. */
  | { kind: 'rest' };

/** Ends after the last byte of the container. Throws IMAGE_TRUNCATED (`damaged`) when the structure is broken. */
export type Walk = Generator<Demand, void, Buffer>;

/** A chunk, segment or box. */
export interface Part<Type = string> {
  type: Type;
  /** The offset of its body. */
  at: number;
  /** The length of its body without padding and checksum; Infinity when it extends to the end of the file. */
  lengthBytes: number;
}

/** Receives a part once its header was read. Returns a walk that reads from its body, or undefined to skip it. */
export type Visit<Type = string> = (part: Part<Type>) => Walk | undefined;

export type Walker<Type = string> = (visit: Visit<Type>) => Walk;

export const read = (at: number, bytes: number): Demand => ({ kind: 'read', at, bytes });
export const readUnlessEnd = (at: number, bytes: number): Demand => ({ kind: 'readUnlessEnd', at, bytes });
/** Demands that every byte before `at` exists. */
export const reach = (at: number): Demand => ({ kind: 'read', at, bytes: 0 });
export const rest: Demand = { kind: 'rest' };

/** Passes bytes of a body to `use`. */
export function* readInto(at: number, bytes: number, use: (bytes: Buffer) => void): Walk {
  use((yield read(at, bytes)).subarray(0, bytes));
}

export const NOTHING: Buffer = Buffer.alloc(0);

/**
 * The most parts of a file, as a bound on what a file of empty ones costs. Encoders stay far below: 256 MiB of PNG have
 * 32,768 chunks of the 8 KiB that libpng writes.
 */
export const MAX_PARTS = 1_000_000;

/** Throws IMAGE_TRUNCATED for a file of more parts than any encoder writes. */
export function checkParts(count: number): void {
  if (count > MAX_PARTS) throw damaged(`an image of more than ${MAX_PARTS} parts`);
}

/** Returns the error of bytes that cannot belong to a whole image. */
export function damaged(problem: string): StorageError {
  return new StorageError('IMAGE_TRUNCATED', `damaged or truncated: ${problem}`);
}

/** Returns the error of bytes that are all there, and differ from what was written. */
export function corrupt(problem: string): StorageError {
  return new StorageError('IMAGE_TRUNCATED', `damaged: ${problem}`);
}

const MAX_KNOWN_TYPES = 256;
const knownTypes = new Map<number, string>();

/** Returns the four characters at that offset, without a new string for each part of a frequent type. */
export function typeAt(bytes: Buffer, at: number): string {
  const code = bytes.readInt32BE(at);
  const known = knownTypes.get(code);
  if (known !== undefined) return known;
  const type = bytes.toString('latin1', at, at + 4);
  if (knownTypes.size < MAX_KNOWN_TYPES) knownTypes.set(code, type);
  return type;
}

/** Runs a walk over bytes in memory, up to their end or the first damage. Returns whether every part was seen. */
export function walkBytes(bytes: Buffer, walk: Walk): boolean {
  try {
    let step = walk.next(NOTHING);
    while (!step.done) {
      const answer = answerFrom(bytes, step.value);
      if (answer === undefined) return step.value.kind === 'readUnlessEnd';
      step = walk.next(answer);
    }
    return true;
  } catch (error) {
    if (error instanceof StorageError) return false;
    throw error;
  }
}

/** Undefined where the bytes end before the demand is met. */
function answerFrom(bytes: Buffer, demand: Demand): Buffer | undefined {
  if (demand.kind === 'rest') return NOTHING;
  return demand.at + demand.bytes > bytes.length ? undefined : bytes.subarray(demand.at);
}
