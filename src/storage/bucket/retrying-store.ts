/** Retries the calls of an object store with exponential backoff and full jitter, within one budget for all calls. */
import { setTimeout as wait } from 'node:timers/promises';
import { failedWith, type ObjectStore, ObjectStoreError } from './object-store.ts';

const MAX_ATTEMPTS = 6;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** No attempt begins later: one that stalls takes half a minute, and the caller waits for all of them. */
const LONGEST_TRYING_MS = 45_000;
/** Retries beyond those that successes earn: an outage must not multiply the load. */
const BUDGET = 200;
const EARNED_BY_SUCCESS = 0.1;

export interface RetryOptions {
  /** Waits that many milliseconds. */
  sleep?: (ms: number) => Promise<unknown>;
  /** In [0, 1). */
  random?: () => number;
  /** Milliseconds since an arbitrary origin. */
  now?: () => number;
  /** Ends pauses and retries. */
  signal?: AbortSignal;
  /** Called at the end of each call, with the store's failure, if any; `precondition` and `not_found` count as none. */
  onAnswer?: (failure?: ObjectStoreError) => void;
}

/**
 * Returns the same store, which rejects with `unavailable` only after several attempts. Retries a write even when an
 * attempt may have been applied, which its precondition makes safe: the later attempt then rejects with `precondition`,
 * and the caller reads back.
 */
export function retrying(store: ObjectStore, options: RetryOptions = {}): ObjectStore {
  const attempts = new Attempts(options);
  return {
    location: store.location,
    putNew: (...args) => attempts.run(() => store.putNew(...args)),
    replaceIf: (...args) => attempts.run(() => store.replaceIf(...args)),
    get: (...args) => attempts.run(() => store.get(...args)),
    list: (...args) => attempts.run(() => store.list(...args)),
    remove: (...args) => attempts.run(() => store.remove(...args)),
    close: () => store.close?.(),
  };
}

class Attempts {
  readonly #signal: AbortSignal | undefined;
  readonly #sleep: (ms: number) => Promise<unknown>;
  readonly #random: () => number;
  readonly #now: () => number;
  readonly #onAnswer: (failure?: ObjectStoreError) => void;
  #budget = BUDGET;

  constructor({
    signal,
    sleep = untilAborted(signal),
    random = Math.random,
    now = () => performance.now(),
    onAnswer = () => {},
  }: RetryOptions) {
    this.#signal = signal;
    this.#sleep = sleep;
    this.#random = random;
    this.#now = now;
    this.#onAnswer = onAnswer;
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    const giveUpAt = this.#now() + LONGEST_TRYING_MS;
    let maybeApplied = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const result = await call();
        this.#earn(attempt === 1 ? EARNED_BY_SUCCESS : attempt - 1);
        this.#onAnswer();
        return result;
      } catch (thrown) {
        const error = toObjectStoreError(thrown);
        maybeApplied ||= error.maybeApplied;
        if (this.#now() > giveUpAt || !this.#mayRetry(error, attempt)) throw this.#final(error, maybeApplied);
      }
      await this.#sleep(this.#random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt));
    }
  }

  #mayRetry(error: ObjectStoreError, attempt: number): boolean {
    if (error.failure !== 'unavailable' || attempt === MAX_ATTEMPTS || this.#budget < 1) return false;
    if (this.#signal?.aborted) return false;
    this.#budget -= 1;
    return true;
  }

  #earn(tokens: number): void {
    this.#budget = Math.min(BUDGET, this.#budget + tokens);
  }

  #final(error: ObjectStoreError, maybeApplied: boolean): ObjectStoreError {
    this.#onAnswer(failedWith(error, 'precondition', 'not_found') ? undefined : error);
    if (error.maybeApplied === maybeApplied) return error;
    return new ObjectStoreError(error.failure, error.message, { maybeApplied, cause: error });
  }
}

function untilAborted(signal: AbortSignal | undefined): (ms: number) => Promise<unknown> {
  return (ms) => wait(ms, undefined, { signal }).catch(() => undefined);
}

function toObjectStoreError(error: unknown): ObjectStoreError {
  if (error instanceof ObjectStoreError) return error;
  return new ObjectStoreError('unavailable', 'the call to the object store failed', {
    maybeApplied: true,
    cause: error,
  });
}
