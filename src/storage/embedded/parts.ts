/** Walks a container by reading its file here and there. */
import { StorageError } from '../domain/errors.ts';
import { type Demand, NOTHING, type Part, type Scan, type Walk, type Walker } from '../formats/walk.ts';
import type { ReadAt } from './read-at.ts';

/** Where a file of ever so many small parts is given up. */
const MAX_PARTS = 20_000;
/** Read at once: headers may lie close together, and each read may open a file or be a request. */
const WINDOW_BYTES = 16 * 1024;

/** The parts in their order, up to where the file ends or its structure is broken. */
export async function* partsOf<Type>(
  readAt: ReadAt,
  walker: Walker<Type>,
  maxParts = MAX_PARTS,
): AsyncGenerator<Part<Type>> {
  const seen: Part<Type>[] = [];
  const walk = walker((part) => {
    seen.push(part);
  });
  const answer = answersFrom(readAt);
  let left = maxParts;
  for (let bytes: Buffer | undefined = NOTHING; bytes !== undefined; ) {
    const demand = nextDemand(walk, bytes);
    for (const part of seen.splice(0)) {
      yield part;
      left -= 1;
      if (left === 0) return;
    }
    bytes = demand && (await answer(demand));
  }
}

/** Undefined where the walk has ended. */
function nextDemand(walk: Walk, bytes: Buffer): Demand | undefined {
  try {
    const step = walk.next(bytes);
    return step.done ? undefined : step.value;
  } catch (error) {
    if (error instanceof StorageError) return undefined;
    throw error;
  }
}

/** Undefined where the file ends before the demand is met. */
function answersFrom(readAt: ReadAt): (demand: Demand) => Promise<Buffer | undefined> {
  let window = NOTHING;
  let windowAt = 0;
  /** What the window holds from there on: so many bytes or more, fewer where the file ends. */
  const bytesAt = async (at: number, lengthBytes: number) => {
    if (lengthBytes === 0) return NOTHING;
    if (at < windowAt || at + lengthBytes > windowAt + window.length) {
      window = await readAt(at, Math.max(lengthBytes, WINDOW_BYTES));
      windowAt = at;
    }
    return window.subarray(at - windowAt);
  };
  const scanFrom = async (start: number, scan: Scan) => {
    for (let at = start; ; ) {
      const chunk = await bytesAt(at, 1);
      if (chunk.length === 0) return undefined;
      if (scan(chunk, 0) !== -1) return NOTHING;
      at += chunk.length;
    }
  };
  return async (demand) => {
    if (demand.kind === 'rest') return undefined;
    if (demand.kind === 'scan') return scanFrom(demand.at, demand.scan);
    const bytes = await bytesAt(demand.at, demand.bytes);
    return bytes.length < demand.bytes ? undefined : bytes.subarray(0, demand.bytes);
  };
}
