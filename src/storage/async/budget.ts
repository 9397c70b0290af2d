/** A budget, of memory or else, that callers hold parts of: the more is held, the smaller the share that each may have. */
import type { Caller } from '../domain/caller.ts';
import { type Reason, StorageError, throwIfCancelled } from '../domain/errors.ts';
import { FairQueue, Holdings } from './fair-queue.ts';
import { cancelledCall, type Waiter, waitIn } from './waiting.ts';

const TOO_MUCH = 'the calls of this client hold too much memory; try again';

export interface HoldOptions {
  signal?: AbortSignal;
  /** How it is refused when it waited too long; default BACKEND_UNAVAILABLE. */
  refusal?: Reason;
}

export interface BudgetOptions {
  /** How long a hold waits before it is refused; default: as long as it takes. */
  waitMs?: number;
  /** A connection that holds nothing may have so much while there is room, whatever its peer has; default 0. */
  smallPart?: number;
}

/** A part of the budget. */
export interface Hold {
  /** Gives back what is held beyond that. */
  shrink(rest: number): void;
  /** Gives all back; calling it again does nothing. */
  release(): void;
}

interface Waiting extends Waiter {
  caller: Caller;
  part: number;
}

/**
 * A peer may hold as much as is left for others, so one alone half, two a third each; a connection as much as its peer
 * has left, alone a third. Who holds nothing may have more than that, while there is room: half of all.
 */
export class Budget {
  readonly #size: number;
  readonly #waitMs: number | undefined;
  readonly #smallPart: number;
  readonly #holdings = new Holdings();
  readonly #waiting = new FairQueue<Waiting>(this.#holdings);
  #isAdmitting = false;

  constructor(size: number, { waitMs, smallPart = 0 }: BudgetOptions = {}) {
    this.#size = size;
    this.#waitMs = waitMs;
    this.#smallPart = smallPart;
  }

  get held(): number {
    return this.#holdings.total;
  }

  /**
   * Waits for a part; who wants more than half of all gets half. Rejects with CANCELLED when the signal fires first, with the refusal
   * when it waited too long.
   */
  async hold(caller: Caller, wanted: number, options: HoldOptions = {}): Promise<Hold> {
    throwIfCancelled(options.signal);
    let held = Math.min(wanted, this.#size / 2);
    if (this.#fits(caller, held)) this.#holdings.add(caller, held);
    else await this.#turn(caller, held, options);
    const shrink = (rest: number) => {
      const freed = Math.max(held - rest, 0);
      if (freed === 0) return;
      held -= freed;
      this.#holdings.add(caller, -freed);
      this.#admitSoon();
    };
    const hold = { shrink, release: () => shrink(0) };
    // The signal may fire between its turn and now.
    if (!options.signal?.aborted) return hold;
    hold.release();
    throw cancelledCall();
  }

  #fits(caller: Caller, part: number): boolean {
    const left = this.#size - this.#holdings.total;
    if (part > left) return false;
    const ofPeer = this.#holdings.ofPeer(caller);
    const ofConnection = this.#holdings.ofConnection(caller);
    if (ofConnection === 0 && part <= this.#smallPart) return true;
    if (ofPeer > 0 && ofPeer + part > left) return false;
    return ofConnection === 0 || ofConnection + part <= left - ofPeer;
  }

  #turn(caller: Caller, part: number, { signal, refusal = 'BACKEND_UNAVAILABLE' }: HoldOptions): Promise<void> {
    const tooLate = () => new StorageError(refusal, TOO_MUCH, { retryAfterMs: 1000 });
    return waitIn(this.#waiting, caller, { caller, part }, { signal, waitMs: this.#waitMs, tooLate });
  }

  /** Once all calls of a connection that broke have left: none of them is to begin its work. */
  #admitSoon(): void {
    if (this.#isAdmitting || this.#waiting.size === 0) return;
    this.#isAdmitting = true;
    setImmediate(() => {
      this.#isAdmitting = false;
      this.#admit();
    });
  }

  #admit(): void {
    for (;;) {
      const next = this.#waiting.shift(({ part }, caller) => this.#fits(caller, part));
      if (next === undefined) return;
      this.#holdings.add(next.caller, next.part);
      next.enter();
    }
  }
}
