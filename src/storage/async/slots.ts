/** A bounded number of slots for saves, shared among callers; while others wait, one that stands still gives its slot up. */
import type { Caller } from '../domain/caller.ts';
import { StorageError } from '../domain/errors.ts';
import { FairQueue, Holdings } from './fair-queue.ts';

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
  /** Counts bytes that arrived, before they are worked on. */
  received(bytes: number): void;
  /** Called when the next bytes are waited for. */
  awaits(): void;
  /** Called when no more bytes are waited for. */
  complete(): void;
  /** Gives the slot back; calling it again does nothing. */
  release(): void;
}

interface Waiting {
  caller: Caller;
  since: number;
  enter: () => void;
}

/** At most `size` holders at once. The next free slot goes to the caller that has fewest. */
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

  /** Rejects with TOO_MANY_SAVES when no slot came free in time, CANCELLED when the signal fires first. */
  async acquire(caller: Caller, signal?: AbortSignal): Promise<Slot> {
    if (this.#holdings.total < this.#options.size) this.#holdings.add(caller, 1);
    else await this.#turn(caller, signal);
    const slot = new HeldSlot(caller, () => this.#release(slot));
    this.#held.add(slot);
    return slot;
  }

  #release(slot: HeldSlot): void {
    this.#held.delete(slot);
    this.#holdings.add(slot.caller, -1);
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#holdings.add(next.caller, 1);
    next.enter();
  }

  #turn(caller: Caller, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const settled = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', cancel);
      };
      const leave = (error: StorageError) => {
        withdraw();
        settled();
        reject(error);
      };
      const enter = () => {
        settled();
        resolve();
      };
      const cancel = () => leave(new StorageError('CANCELLED', 'the save was cancelled'));
      const timer = setTimeout(() => {
        const message = 'too many saves are in flight; try again';
        leave(new StorageError('TOO_MANY_SAVES', message, { retryAfterMs: 1000 }));
      }, this.#options.waitMs);
      const withdraw = this.#waiting.push(caller, { caller, since: performance.now(), enter });
      signal?.addEventListener('abort', cancel);
      if (signal?.aborted) cancel();
      else this.#startTicking();
    });
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
    for (let count = ending; count < longest; count += 1) this.#endOne();
    if (this.#waiting.size > 0) return;
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }

  /** Ends the save of the peer with most slots that received least, unless that one moves. */
  #endOne(): void {
    const least = this.#options.leastBytesPerSecond;
    const running = [...this.#held].filter((slot) => !slot.signal.aborted);
    const most = Math.max(...running.map(({ caller }) => this.#holdings.ofPeer(caller)));
    const candidates = running.filter(({ caller }) => this.#holdings.ofPeer(caller) === most);
    const slowest = candidates.reduce((a, b) => (b.lastSecond < a.lastSecond ? b : a));
    if (slowest.lastSecond < least) slowest.end();
  }
}

class HeldSlot implements Slot {
  readonly caller: Caller;
  readonly release: () => void;
  readonly #end = new AbortController();
  /** Bytes of the last ticks; infinite where the save did not wait for its client all the time. */
  #ticks: number[] = [];
  #received = 0;
  #isWaiting = true;
  #isHeld = true;

  constructor(caller: Caller, release: () => void) {
    this.caller = caller;
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
    const counts = this.#isWaiting && !late;
    this.#ticks = [...this.#ticks, counts ? this.#received : Number.POSITIVE_INFINITY].slice(-TICKS);
    this.#received = 0;
  }

  /** Begins a new second. */
  forget(): void {
    this.#ticks = [];
    this.#received = 0;
  }

  end(): void {
    const message = 'another save waited for this one, which stood still; try again';
    this.#end.abort(new StorageError('SAVE_STALLED', message));
  }
}
