/** Two ways for asynchronous work to wait its turn: a bounded number of slots, and one at a time by key. */
import { StorageError } from './errors.ts';

/** Gives a slot back; calling it again does nothing. */
export type Release = () => void;

/** At most `size` holders at once; the others wait in order, up to `waitMs`. */
export class Slots {
  #free: number;
  readonly #waitMs: number;
  readonly #waiting = new Set<() => void>();

  constructor(size: number, waitMs: number) {
    this.#free = size;
    this.#waitMs = waitMs;
  }

  /** TOO_MANY_SAVES when no slot came free in time, CANCELLED when the signal fires first. */
  async acquire(signal?: AbortSignal): Promise<Release> {
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(signal);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#release();
    };
  }

  #release(): void {
    const [next] = this.#waiting;
    if (next) next();
    else this.#free += 1;
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (settle: () => void) => {
        this.#waiting.delete(enter);
        clearTimeout(timer);
        signal?.removeEventListener('abort', cancel);
        settle();
      };
      const enter = () => leave(resolve);
      const cancel = () => leave(() => reject(new StorageError('CANCELLED', 'the save was cancelled')));
      const timer = setTimeout(() => {
        const message = 'too many saves are in flight; try again';
        leave(() => reject(new StorageError('TOO_MANY_SAVES', message, { retryAfterMs: 1000 })));
      }, this.#waitMs);
      this.#waiting.add(enter);
      signal?.addEventListener('abort', cancel);
      if (signal?.aborted) cancel();
    });
  }
}

/** Runs work of the same key one after the other, in the order it was asked for. */
export class KeyedQueue {
  readonly #tails = new Map<string, Promise<unknown>>();

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const result = (this.#tails.get(key) ?? Promise.resolve()).then(work);
    const tail = result
      .catch(() => undefined)
      .then(() => {
        if (this.#tails.get(key) === tail) this.#tails.delete(key);
      });
    this.#tails.set(key, tail);
    return result;
  }

  /** Resolves when nothing is left to run. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }
}
