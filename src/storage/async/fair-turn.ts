/** Gives the event loop back: work that many callers have at once takes turns, and other events come in between. */
import type { Caller } from '../domain/caller.ts';
import { FairQueue } from './fair-queue.ts';
import { TURN_MS } from './turn.ts';

/** Who asks at once may go on together before anybody has worked: their time is not known yet. */
const MAX_TOGETHER = 8;

let startedAt = 0;
let isUnderWay = false;
let together = 0;
let isPumping = false;
const waiting = new FairQueue<() => void>();

/**
 * Resolves when the caller may go on with up to some milliseconds of work; undefined when it may at once. What is one
 * piece of work calls it before each part.
 */
export function turnOf(caller: Caller): Promise<void> | undefined {
  if (!isUnderWay) begin();
  if (waiting.size === 0 && together < MAX_TOGETHER && hasTime()) {
    together += 1;
    return undefined;
  }
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
  together = 0;
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
  // Behind the microtasks in which the resumed work runs; a tick alone would come before them.
  if (isPumping) queueMicrotask(() => process.nextTick(pump));
}
