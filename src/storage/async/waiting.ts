/** Waits in a fair queue, for a bounded time, until somebody else gives way. */
import type { Caller } from '../domain/caller.ts';
import { StorageError } from '../domain/errors.ts';
import type { FairQueue } from './fair-queue.ts';

/** An entry of the queue: whoever shifts it calls `enter`. */
export interface Waiter {
  enter(): void;
}

export interface WaitOptions {
  signal: AbortSignal | undefined;
  /** Unset: as long as it takes. */
  waitMs: number | undefined;
  /** Returns what to reject with when it waited too long. */
  tooLate(): StorageError;
}

/** Resolves when the entry was let in. Rejects with CANCELLED when the signal fires first; the entry is withdrawn then. */
export function waitIn<T>(
  queue: FairQueue<T & Waiter>,
  caller: Caller,
  entry: T,
  { signal, waitMs, tooLate }: WaitOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
    };
    const leave = (error: StorageError) => {
      withdraw();
      settle();
      reject(error);
    };
    const enter = () => {
      settle();
      resolve();
    };
    const cancel = () => leave(cancelledCall());
    const timer = waitMs === undefined ? undefined : setTimeout(() => leave(tooLate()), waitMs);
    const withdraw = queue.push(caller, { ...entry, enter });
    signal?.addEventListener('abort', cancel);
    if (signal?.aborted) cancel();
  });
}

export function cancelledCall(): StorageError {
  return new StorageError('CANCELLED', 'the call was cancelled');
}
