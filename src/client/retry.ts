/** Repeats failed attempts: exponential backoff with jitter, bounded by attempts and by the deadline. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ImageStorageError } from './errors.ts';
import type { Reach } from './reach.ts';
import type { CallLimits } from './transport.ts';
import type { ConnectOptions } from './types.ts';

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;
const DEFAULT_RETRIES = 6;

export interface Backoff {
  /** Waits before the next attempt; rejects with the error when there is none. */
  wait(error: unknown): Promise<void>;
  /** Starts the count of failures again, after progress. */
  reset(): void;
}

export function createBackoff(options: ConnectOptions, limits: CallLimits, reach: Reach): Backoff {
  const { deadline, signal, connectBy } = limits;
  let failures = 0;
  const isLast = (delayMs: number) => {
    const retries = options.retries ?? (reach.was ? DEFAULT_RETRIES : Number.POSITIVE_INFINITY);
    const end = reach.was ? deadline : Math.min(deadline, connectBy);
    return failures > retries || Date.now() + delayMs >= end;
  };
  return {
    async wait(error) {
      if (!(error instanceof ImageStorageError) || !error.retryable) throw error;
      const stepMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
      // At least half of the step: all steps together must outlast a restart of the daemon.
      const delayMs = (error.retryAfterMs ?? 0) + stepMs * (0.5 + Math.random() / 2);
      failures += 1;
      if (isLast(delayMs)) throw error;
      options.onRetry?.(error, delayMs);
      // The signal ends the wait; the next attempt rejects with CANCELLED.
      await sleep(delayMs, undefined, { signal }).catch(() => {});
    },
    reset() {
      failures = 0;
    },
  };
}

/** Runs the attempt until it succeeds or `wait` gives up. */
export async function retrying<T>(backoff: Backoff, attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      await backoff.wait(error);
    }
  }
}
