/** The contract of a container's walker: it demands bytes of a file in order, and reports each part that it finds. */
import { StorageError } from '../domain/errors.ts';

/** What a walker needs to continue. Positions are offsets in the file and never decrease. */
export type Demand =
  /** Exactly these bytes, as one Buffer that is valid until the next demand. */
  | { kind: 'read'; at: number; bytes: number }
  /** The same, or no bytes when the file ends at `at`. */
  | { kind: 'readUnlessEnd'; at: number; bytes: number }
  /** Scans the bytes from `at` on. `scan` returns the offset at which to continue, or -1 to get the next bytes, too. */
  | { kind: 'scan'; at: number; scan: Scan }
  /** Skips everything up to the end of the file. */
  | { kind: 'rest' };

export type Scan = (chunk: Buffer, at: number) => number;

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
export const scan = (at: number, look: Scan): Demand => ({ kind: 'scan', at, scan: look });
export const rest: Demand = { kind: 'rest' };

/** Passes bytes of a body to `use`. */
export function* readInto(at: number, bytes: number, use: (bytes: Buffer) => void): Walk {
  use(yield read(at, bytes));
}

export const NOTHING: Buffer = Buffer.alloc(0);

/** Returns the error of bytes that cannot belong to a whole image. */
export function damaged(problem: string): StorageError {
  return new StorageError('IMAGE_TRUNCATED', `damaged or truncated: ${problem}`);
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
  if (demand.kind === 'scan') return demand.scan(bytes, demand.at) === -1 ? undefined : NOTHING;
  const end = demand.at + demand.bytes;
  return end > bytes.length ? undefined : bytes.subarray(demand.at, end);
}
