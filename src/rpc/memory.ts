/** The memory that calls hold, in budgets of their own, so that no call waits for one that waits for it. */
import { Budget } from '../storage/async/budget.ts';

const MIB = 1024 * 1024;
/** What a small call takes: a connection that has none is served although its peer has its share. */
const SMALL_BYTES = 48 * 1024;

/** A peer alone has half of them. */
const CALLS_AT_WORK = 32;

export interface CallMemory {
  /** What a call holds to its end: the bytes of its first message, and the part of its answer that is not read yet. */
  kept: Budget;
  /** Later messages, until the next one; not the chunks of uploads, which are bounded by their slots. */
  passing: Budget;
  /** What messages of many fields become when they are decoded. */
  decoded: Budget;
  /** Calls that are at work on their answer, or on its first part: what they use serves first come, first served. */
  atWork: Budget;
}

/** `waitMs`: how long a call waits for memory before it is refused; its turn to work it awaits as long as it takes. */
export function createCallMemory(waitMs: number): CallMemory {
  const budget = (size: number) => new Budget(size, { waitMs, smallPart: SMALL_BYTES });
  return {
    kept: budget(64 * MIB),
    passing: budget(32 * MIB),
    decoded: budget(32 * MIB),
    atWork: new Budget(CALLS_AT_WORK),
  };
}
