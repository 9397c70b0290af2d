/** Bounds the memory that the blocks of many files take at once: who reads more than a little waits for the others. */
import type { ReadAt } from './read-at.ts';

/** Smaller reads pass by; they go through a window. */
const SMALL_BYTES = 32 * 1024;
/** What each file may take beside the others. */
const FREE_BYTES = 256 * 1024;

let last: Promise<void> = Promise.resolve();

export interface BoundedReads {
  readAt: ReadAt;
  /** To be called when nothing of what was read is needed any more. */
  end(): void;
}

/** Lets one file at a time read beyond what each may. */
export function boundedReads(readAt: ReadAt): BoundedReads {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let bytes = 0;
  let turn: Promise<void> | undefined;
  return {
    end,
    readAt: async (position, lengthBytes) => {
      if (lengthBytes > SMALL_BYTES) bytes += lengthBytes;
      if (bytes > FREE_BYTES) turn ??= takeTurn(ended);
      await turn;
      return readAt(position, lengthBytes);
    },
  };
}

function takeTurn(ended: Promise<void>): Promise<void> {
  const before = last;
  last = before.then(() => ended);
  return before;
}
