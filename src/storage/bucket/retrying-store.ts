/** Retries the calls of an object store with exponential backoff and full jitter, within one budget for all calls. */
import { setTimeout as wait } from 'node:timers/promises';
import { HELP } from './help.ts';
import { failedWith, type ObjectStore, ObjectStoreError } from './object-store.ts';

const MAX_ATTEMPTS = 6;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** No attempt begins later: one that stalls takes half a minute, and the caller waits for all of them. */
export const LONGEST_TRYING_MS = 45_000;
/** A call that takes longer is logged. */
const LONG_WAIT_MS = 15_000;
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
  /** Called once for a call that has waited for long, with what it waits for. */
  onLongWait?: (wait: LongWait) => void;
  /** Default 45 s. */
  longestTryingMs?: number;
  /** Default 15 s. */
  longWaitMs?: number;
}

/** Such as `PUT outputs/images/…`, for 15 seconds. */
export interface LongWait {
  waitsFor: string;
  seconds: number;
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
    putNew: (key, ...args) => attempts.run(`PUT ${key}`, () => store.putNew(key, ...args)),
    replaceIf: (key, ...args) => attempts.run(`PUT ${key}`, () => store.replaceIf(key, ...args)),
    get: (key, ...args) => attempts.run(`GET ${key}`, () => store.get(key, ...args)),
    list: (prefix, ...args) => attempts.run(`LIST ${prefix}`, () => store.list(prefix, ...args)),
    remove: (key) => attempts.run(`DELETE ${key}`, () => store.remove(key)),
    close: () => store.close?.(),
  };
}

/**
 * Returns the same store for one save: rejects every further call with `unavailable` once the store has failed to
 * answer for so long. A save makes several calls in turn, which would each try again.
 */
export function untilSilent(
  store: ObjectStore,
  { longestTryingMs = LONGEST_TRYING_MS, now = () => performance.now() }: RetryOptions = {},
): ObjectStore {
  let silentSince = now();
  let failure: unknown;
  const run = async <T>(call: () => Promise<T>): Promise<T> => {
    const seconds = Math.round((now() - silentSince) / 1000);
    if (now() - silentSince > longestTryingMs) {
      const message = `the service has not answered for ${seconds} s (${HELP.silence})`;
      throw new ObjectStoreError('unavailable', message, { cause: failure });
    }
    try {
      const result = await call();
      silentSince = now();
      return result;
    } catch (error) {
      if (!failedWith(error, 'unavailable') || error.answer !== undefined) silentSince = now();
      failure = error;
      throw error;
    }
  };
  return {
    location: store.location,
    putNew: (...args) => run(() => store.putNew(...args)),
    replaceIf: (...args) => run(() => store.replaceIf(...args)),
    get: (...args) => run(() => store.get(...args)),
    list: (...args) => run(() => store.list(...args)),
    remove: (...args) => run(() => store.remove(...args)),
  };
}

class Attempts {
  readonly #signal: AbortSignal | undefined;
  readonly #sleep: (ms: number) => Promise<unknown>;
  readonly #random: () => number;
  readonly #now: () => number;
  readonly #onAnswer: (failure?: ObjectStoreError) => void;
  readonly #onLongWait: ((wait: LongWait) => void) | undefined;
  readonly #longestTryingMs: number;
  readonly #longWaitMs: number;
  #budget = BUDGET;

  constructor({
    signal,
    sleep = untilAborted(signal),
    random = Math.random,
    now = () => performance.now(),
    onAnswer = () => {},
    onLongWait,
    longestTryingMs = LONGEST_TRYING_MS,
    longWaitMs = LONG_WAIT_MS,
  }: RetryOptions) {
    this.#signal = signal;
    this.#sleep = sleep;
    this.#random = random;
    this.#now = now;
    this.#onAnswer = onAnswer;
    this.#onLongWait = onLongWait;
    this.#longestTryingMs = longestTryingMs;
    this.#longWaitMs = longWaitMs;
  }

  /** `name` says what is called, such as `GET outputs/metadata/FORMAT`. */
  async run<T>(name: string, call: () => Promise<T>): Promise<T> {
    const timer = this.#watch(name);
    try {
      return await this.#try(name, call);
    } finally {
      clearTimeout(timer);
    }
  }

  #watch(waitsFor: string): NodeJS.Timeout | undefined {
    if (this.#onLongWait === undefined) return undefined;
    const wait = { waitsFor, seconds: Math.round(this.#longWaitMs / 1000) };
    return setTimeout(() => this.#onLongWait?.(wait), this.#longWaitMs).unref();
  }

  async #try<T>(name: string, call: () => Promise<T>): Promise<T> {
    const startedAt = this.#now();
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
        const triedMs = this.#now() - startedAt;
        if (triedMs > this.#longestTryingMs || !this.#mayRetry(error, attempt)) {
          const tries = `${attempt === 1 ? '1 attempt' : `${attempt} attempts`}, ${(triedMs / 1000).toFixed(1)} s`;
          throw this.#final(error, maybeApplied, `waited for ${name} (${tries})`);
        }
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

  #final(error: ObjectStoreError, maybeApplied: boolean, waiting: string): ObjectStoreError {
    const { failure, guess, scope, answer, cause } = error;
    this.#onAnswer(failedWith(error, 'precondition', 'not_found') ? undefined : error);
    const isWaited = failure === 'unavailable';
    if (error.maybeApplied === maybeApplied && !isWaited) return error;
    const message = isWaited ? `${guess}; ${waiting}` : guess;
    return new ObjectStoreError(failure, message, { maybeApplied, scope, answer, cause });
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
