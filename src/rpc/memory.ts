/** The memory that calls hold, in two budgets, so that what is kept never waits for what passes, nor the other way round. */
import { Budget } from '../storage/async/budget.ts';

const MIB = 1024 * 1024;

export interface CallMemory {
  /** What a call holds to its end: its first message, and the part of its answer that is not read yet. */
  kept: Budget;
  /** Later messages, until the next one; not the chunks of uploads, which are bounded by their slots. */
  passing: Budget;
}

/** `waitMs`: how long a call waits for memory before it is refused. */
export function createCallMemory(waitMs: number): CallMemory {
  return { kept: new Budget(64 * MIB, waitMs), passing: new Budget(32 * MIB, waitMs) };
}
