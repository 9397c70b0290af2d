/** What a walker of a container is: it asks for bytes of a file in their order, and shows each part that it finds. */
import { StorageError } from '../domain/errors.ts';

/** What a walker needs before it can go on. Positions count from the first byte of the file and never go back. */
export type Demand =
  /** Exactly these bytes, as one Buffer that is valid until the next demand. */
  | { kind: 'read'; at: number; bytes: number }
  /** The same, or no bytes where the file ends at `at`. */
  | { kind: 'readUnlessEnd'; at: number; bytes: number }
  /** Looks through what has arrived from `at` on; returns where to go on, or -1 to see the next bytes as well. */
  | { kind: 'scan'; at: number; scan: Scan }
  /** Passes over everything up to the end of the file. */
  | { kind: 'rest' };

export type Scan = (chunk: Buffer, at: number) => number;

/** Ends behind the last byte of the container. Throws IMAGE_TRUNCATED (`damaged`) where the structure is broken. */
export type Walk = Generator<Demand, void, Buffer>;

/** A chunk, segment or box. */
export interface Part<Type = string> {
  type: Type;
  /** Where in the file its body begins. */
  at: number;
  /** Of its body, padding and checksum not included; Infinity when it goes on to the end of the file. */
  lengthBytes: number;
}

/** Sees a part once its header has been read. Returns what reads from its body, or nothing to pass over it. */
export type Visit<Type = string> = (part: Part<Type>) => Walk | undefined;

export type Walker<Type = string> = (visit: Visit<Type>) => Walk;

export const read = (at: number, bytes: number): Demand => ({ kind: 'read', at, bytes });
export const readUnlessEnd = (at: number, bytes: number): Demand => ({ kind: 'readUnlessEnd', at, bytes });
/** Every byte before `at`. */
export const reach = (at: number): Demand => ({ kind: 'read', at, bytes: 0 });
export const scan = (at: number, look: Scan): Demand => ({ kind: 'scan', at, scan: look });
export const rest: Demand = { kind: 'rest' };

/** Hands bytes of a body over. */
export function* readInto(at: number, bytes: number, use: (bytes: Buffer) => void): Walk {
  use(yield read(at, bytes));
}

export const NOTHING: Buffer = Buffer.alloc(0);

/** The error of bytes that cannot belong to a whole image. */
export function damaged(problem: string): StorageError {
  return new StorageError('IMAGE_TRUNCATED', `damaged or truncated: ${problem}`);
}

/** Walks over bytes in memory, as far as they go and are sound. Returns false where something is cut or broken. */
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
