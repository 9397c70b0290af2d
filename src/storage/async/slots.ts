/** A bounded number of slots for saves, shared among callers; while others wait, one that stands still gives its slot up. */
import type { Caller } from '../domain/caller.ts';
import { StorageError } from '../domain/errors.ts';
import { FairQueue, Holdings } from './fair-queue.ts';
import { type Waiter, waitIn } from './waiting.ts';

/** How long a save waits before another may be ended for it, and over which time that one is looked at. */
const PATIENCE_MS = 1_000;
const TICK_MS = 250;
const TICKS = PATIENCE_MS / TICK_MS;

export interface SlotsOptions {
  size: number;
  /** How long a save waits before TOO_MANY_SAVES. */
  waitMs: number;
  /** What a save must receive in the last second to keep its slot while others wait. */
  leastBytesPerSecond: number;
}

/** The right to be in flight. */
export interface Slot {
  /** Fires with SAVE_STALLED when the slot went to another save, which it never does once the bytes are complete. */
  readonly signal: AbortSignal;
  /** Called with each chunk, before it is worked on. */
  received(bytes: number): void;
  /** Called when the next bytes are waited for. */
  awaits(): void;
  /** Called when no more bytes are waited for. */
  complete(): void;
  /** Gives the slot back; calling it again does nothing. */
  release(): void;
}

export interface AcquireOptions {
  signal?: AbortSignal;
  /** Returns how many bytes have come, those of unfinished chunks too. Default: those of the chunks received. */
  arrived?: () => number;
}

interface Waiting extends Waiter {
  caller: Caller;
  since: number;
}

/** At most `size` holders at once, seven eighths of them of one peer. The next free slot goes to the caller that has fewest. */
export class Slots {
  readonly #options: SlotsOptions;
  readonly #holdings = new Holdings();
  readonly #waiting: FairQueue<Waiting>;
  readonly #held = new Set<HeldSlot>();
  #ticking: NodeJS.Timeout | undefined;

  constructor(options: SlotsOptions) {
    this.#options = options;
    this.#waiting = new FairQueue(this.#holdings);
  }

  get held(): number {
    return this.#holdings.total;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Rejects with TOO_MANY_SAVES when no slot came free in time, CANCELLED when the signal fires first. */
  async acquire(caller: Caller, { signal, arrived }: AcquireOptions = {}): Promise<Slot> {
    if (this.#holdings.total < this.#options.size && this.#mayHave(caller)) this.#holdings.add(caller, 1);
    else await this.#turn(caller, signal);
    const slot = new HeldSlot(caller, arrived, () => this.#release(slot));
    this.#held.add(slot);
    return slot;
  }

  #release(slot: HeldSlot): void {
    this.#held.delete(slot);
    this.#holdings.add(slot.caller, -1);
    const next = this.#waiting.shift((_, caller) => this.#mayHave(caller));
    if (next === undefined) return;
    this.#holdings.add(next.caller, 1);
    next.enter();
  }

  /** A peer leaves an eighth to others: saves that move are ended for nobody. */
  #mayHave(caller: Caller): boolean {
    const { size } = this.#options;
    return this.#holdings.ofPeer(caller) < size - Math.floor(size / 8);
  }

  #turn(caller: Caller, signal: AbortSignal | undefined): Promise<void> {
    const tooLate = () => {
      const message = 'too many saves are in flight; try again';
      return new StorageError('TOO_MANY_SAVES', message, { retryAfterMs: 1000 });
    };
    this.#startTicking();
    const { waitMs } = this.#options;
    return waitIn(this.#waiting, caller, { caller, since: performance.now() }, { signal, waitMs, tooLate });
  }

  /** Begins to look at who moves; nobody is looked at while nobody waits. */
  #startTicking(): void {
    if (this.#ticking !== undefined) return;
    for (const slot of this.#held) slot.forget();
    let last = performance.now();
    this.#ticking = setInterval(() => {
      const now = performance.now();
      // What arrived while the process stood still has not been read.
      this.#tick(now, now - last > 2 * TICK_MS);
      last = now;
    }, TICK_MS).unref();
  }

  #tick(now: number, late: boolean): void {
    const longest = [...this.#waiting].filter(({ since }) => since <= now - PATIENCE_MS).length;
    for (const slot of this.#held) slot.tick(late);
    const ending = [...this.#held].filter((slot) => slot.signal.aborted).length;
    for (let count = ending; count < longest && this.#endOne(); count += 1);
    if (this.#waiting.size > 0) return;
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }

  /** Ends the save of the peer with most slots that received least; returns false where that one moves, or none is left. */
  #endOne(): boolean {
    const least = this.#options.leastBytesPerSecond;
    const running = [...this.#held].filter((slot) => !slot.signal.aborted);
    if (running.length === 0) return false;
    const most = Math.max(...running.map(({ caller }) => this.#holdings.ofPeer(caller)));
    const candidates = running.filter(({ caller }) => this.#holdings.ofPeer(caller) === most);
    const slowest = candidates.reduce((a, b) => (b.lastSecond < a.lastSecond ? b : a));
    if (slowest.lastSecond >= least) return false;
    slowest.end();
    return true;
  }
}

class HeldSlot implements Slot {
  readonly caller: Caller;
  readonly release: () => void;
  readonly #end = new AbortController();
  /** Bytes of the last ticks; infinite where the save did not wait for its client all the time. */
  #ticks: number[] = [];
  #received = 0;
  readonly #arrived: () => number;
  /** Of them, what the ticks have counted. */
  #counted = 0;
  #isWaiting = true;
  #isHeld = true;

  constructor(caller: Caller, arrived: (() => number) | undefined, release: () => void) {
    this.caller = caller;
    this.#arrived = arrived ?? (() => this.#received);
    this.release = () => {
      if (this.#isHeld) release();
      this.#isHeld = false;
    };
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** Infinite until it was looked at for a second. */
  get lastSecond(): number {
    return this.#ticks.length < TICKS ? Number.POSITIVE_INFINITY : this.#ticks.reduce((sum, bytes) => sum + bytes);
  }

  received(bytes: number): void {
    this.#received += bytes;
    this.#isWaiting = false;
  }

  awaits(): void {
    this.#isWaiting = true;
  }

  complete(): void {
    this.#isWaiting = false;
  }

  tick(late: boolean): void {
    const bytes = this.#arrived() - this.#counted;
    this.#counted += bytes;
    const counts = this.#isWaiting && !late;
    this.#ticks = [...this.#ticks, counts ? bytes : Number.POSITIVE_INFINITY].slice(-TICKS);
  }

  /** Begins a new second. */
  forget(): void {
    this.#ticks = [];
    this.#counted = this.#arrived();
  }

  end(): void {
    const message = 'another save waited for this one, which stood still; try again';
    this.#end.abort(new StorageError('SAVE_STALLED', message));
  }
}
