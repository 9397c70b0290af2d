/** A semaphore: a fixed number of slots that asynchronous work waits for. */
import { StorageError } from '../domain/errors.ts';

/** Releases the slot. Idempotent. */
export type Release = () => void;

/** Admits at most `size` holders at once; the others wait in order, up to `waitMs`. */
export class Slots {
  #free: number;
  readonly #waitMs: number;
  readonly #waiting = new Set<() => void>();

  constructor(size: number, waitMs: number) {
    this.#free = size;
    this.#waitMs = waitMs;
  }

  /** Rejects with TOO_MANY_SAVES when no slot is free in time, or with CANCELLED when the signal fires first. */
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
