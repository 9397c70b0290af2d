/** Makes the parts of an answer only while there is memory for them, which an unread answer keeps. */
import type { Budget, Hold } from '../storage/async/budget.ts';
import { turnOf } from '../storage/async/fair-turn.ts';
import type { Caller } from '../storage/domain/caller.ts';

export interface Receiver {
  budget: Budget;
  caller: Caller;
  /** Fires when the call has ended; what waits to be written may never go on. */
  signal: AbortSignal;
}

/** Holds so much until it is released or the call has ended. */
export async function holdForCall(amount: number, { budget, caller, signal }: Receiver): Promise<Hold> {
  const hold = await budget.hold(caller, amount, { signal });
  signal.addEventListener('abort', hold.release, { once: true });
  return hold;
}

/** Holds so much from the first part to the last. */
export async function* withHold<T>(parts: AsyncIterable<T>, amount: number, receiver: Receiver): AsyncGenerator<T> {
  const hold = await holdForCall(amount, receiver);
  try {
    yield* parts;
  } finally {
    hold.release();
  }
}

/** Holds `maxCost` while a part is made, and what it costs until the next is asked for. */
export async function* partByPart<T>(
  parts: AsyncIterable<T>,
  maxCost: number,
  costOf: (part: T) => number,
  { budget, caller, signal }: Receiver,
): AsyncGenerator<T> {
  const iterator = parts[Symbol.asyncIterator]();
  let hold: Hold | undefined;
  const release = () => hold?.release();
  signal.addEventListener('abort', release, { once: true });
  try {
    for (;;) {
      hold = await budget.hold(caller, maxCost, { signal });
      const { done, value } = await iterator.next();
      if (done) return;
      hold.shrink(costOf(value));
      await turnOf(caller);
      yield value;
      release();
    }
  } finally {
    release();
    await iterator.return?.();
  }
}
