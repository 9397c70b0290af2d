/** When images may go by themselves, by their age or a policy: not soon after a start, nor after a jump of the clock. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** How far the clock of the machine may run apart from the time that has passed. */
const MAX_DRIFT_MS = 5 * MINUTE_MS;
const QUIET_MS = HOUR_MS;
/** How long nothing goes by itself once the catalog was lost, or older than its store. */
export const DOUBT_MS: number = 24 * HOUR_MS;

export interface PurgeClockOptions {
  /** The clock of the machine, ms since 1970. */
  now: () => number;
  /** The time that has passed, in ms from any origin; it never jumps. Default: that of the process. */
  elapsed?: () => number;
}

export class PurgeClock {
  readonly #now: () => number;
  readonly #elapsed: () => number;
  readonly #quietUntil: number;
  #unsteadyUntil: number = Number.NEGATIVE_INFINITY;
  /** `now` minus `elapsed` at the last look. */
  #offset: number;

  constructor({ now, elapsed = () => performance.now() }: PurgeClockOptions) {
    this.#now = now;
    this.#elapsed = elapsed;
    this.#offset = now() - elapsed();
    this.#quietUntil = elapsed() + QUIET_MS;
  }

  /**
   * Returns whether an hour has passed since the start and since the clock last jumped by more than five minutes. Looks at
   * the clocks: a jump between two calls that took the clock back again is not seen.
   */
  mayPurge(): boolean {
    const elapsed = this.#elapsed();
    const offset = this.#now() - elapsed;
    // Against the last look: small corrections of the clock add up to no jump.
    if (Math.abs(offset - this.#offset) > MAX_DRIFT_MS) this.#unsteadyUntil = elapsed + QUIET_MS;
    this.#offset = offset;
    return elapsed >= this.#quietUntil && elapsed >= this.#unsteadyUntil;
  }

  /** Whether the clock has not jumped for an hour, as far as the looks have seen; a start is no jump. */
  get isSteady(): boolean {
    return this.#elapsed() >= this.#unsteadyUntil;
  }
}
