/** Gives the event loop back: work that many callers have at once takes turns, and other events come in between. */
import type { Caller } from '../domain/caller.ts';
import { FairQueue } from './fair-queue.ts';
import { TURN_MS } from './turn.ts';

let startedAt = 0;
let isUnderWay = false;
let isPumping = false;
const waiting = new FairQueue<() => void>();

/**
 * Resolves when the caller may go on with up to some milliseconds of work; undefined when it may at once. What is one
 * piece of work calls it before each part.
 */
export function turnOf(caller: Caller): Promise<void> | undefined {
  if (!isUnderWay) begin();
  if (waiting.size === 0 && hasTime()) return undefined;
  return new Promise((resolve) => {
    waiting.push(caller, resolve);
    if (isPumping) return;
    isPumping = true;
    setImmediate(pump);
  });
}

/** Until the loop has come round. */
function begin(): void {
  isUnderWay = true;
  startedAt = performance.now();
  setImmediate(() => {
    isUnderWay = false;
  });
}

function hasTime(): boolean {
  return performance.now() - startedAt < TURN_MS;
}

/** Lets one after the other go on while there is time, the rest when the loop has come round. */
function pump(): void {
  if (!isUnderWay) begin();
  if (!hasTime()) {
    setImmediate(pump);
    return;
  }
  waiting.shift()?.();
  isPumping = waiting.size > 0;
  // Behind the microtasks in which the resumed work runs.
  if (isPumping) process.nextTick(pump);
}
