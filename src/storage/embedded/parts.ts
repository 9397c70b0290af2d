/** Walks a container by random access to its file. */
import { Turn } from '../async/turn.ts';
import { StorageError } from '../domain/errors.ts';
import { type Demand, NOTHING, type Part, type Walk, type Walker } from '../formats/walk.ts';
import type { ReadAt } from './read-at.ts';

/** The most parts to read of one file. */
const MAX_PARTS = 20_000;
/** The least bytes to read at once: headers may be close together, and each read may open a file or send a request. */
const WINDOW_BYTES = 16 * 1024;

/** Yields the parts in order, up to the end of the file or the first damage. */
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
  const turn = new Turn();
  let left = maxParts;
  for (let bytes: Buffer | undefined = NOTHING; bytes !== undefined; ) {
    const demand = nextDemand(walk, bytes);
    for (const part of seen.splice(0)) {
      yield part;
      left -= 1;
      if (left === 0) return;
    }
    bytes = demand && (await answer(demand));
    await turn.giveBack();
  }
}

/** Returns undefined when the walk has ended. */
function nextDemand(walk: Walk, bytes: Buffer): Demand | undefined {
  try {
    const step = walk.next(bytes);
    return step.done ? undefined : step.value;
  } catch (error) {
    if (error instanceof StorageError) return undefined;
    throw error;
  }
}

/** Returns a function that serves demands; it returns undefined when the file ends before. */
function answersFrom(readAt: ReadAt): (demand: Demand) => Promise<Buffer | undefined> {
  let window = NOTHING;
  let windowAt = 0;
  /** Returns at least `lengthBytes` from `at` on; fewer at the end of the file. */
  const bytesAt = async (at: number, lengthBytes: number) => {
    if (lengthBytes === 0) return NOTHING;
    if (at < windowAt || at + lengthBytes > windowAt + window.length) {
      window = await readAt(at, Math.max(lengthBytes, WINDOW_BYTES));
      windowAt = at;
    }
    return window.subarray(at - windowAt);
  };
  return async (demand) => {
    if (demand.kind === 'rest') return undefined;
    const bytes = await bytesAt(demand.at, demand.bytes);
    return bytes.length < demand.bytes ? undefined : bytes;
  };
}
