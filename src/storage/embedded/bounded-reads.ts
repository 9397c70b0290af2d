/** Bounds the memory that the blocks of many files take at once: who reads more than a little waits for the others. */
import type { ReadAt } from './read-at.ts';

/** Smaller reads pass by; they go through a window. */
const SMALL_BYTES = 32 * 1024;
/** What each file may take beside the others. */
const FREE_BYTES = 256 * 1024;
/** How many may read more at a time; one of them may stand in a slow bucket. */
const MAX_LARGE = 4;

let free = MAX_LARGE;
const waiting: (() => void)[] = [];

export interface BoundedReads {
  readAt: ReadAt;
  /** To be called when nothing of what was read is needed any more. */
  end(): void;
}

/** Lets a few files at a time read beyond what each may. */
export function boundedReads(readAt: ReadAt): BoundedReads {
  let bytes = 0;
  let turn: Promise<void> | undefined;
  return {
    readAt: async (position, lengthBytes) => {
      if (lengthBytes > SMALL_BYTES) bytes += lengthBytes;
      if (bytes > FREE_BYTES) turn ??= takeTurn();
      await turn;
      return readAt(position, lengthBytes);
    },
    end: () => void turn?.then(giveTurn),
  };
}

function takeTurn(): Promise<void> {
  if (free === 0) return new Promise((resolve) => waiting.push(resolve));
  free -= 1;
  return Promise.resolve();
}

function giveTurn(): void {
  const next = waiting.shift();
  if (next === undefined) free += 1;
  else next();
}
