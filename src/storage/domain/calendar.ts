/** Divides time into the days or months of a time zone. */

const DAY_MS = 24 * 60 * 60 * 1000;
/** No zone changes its clocks twice in such a time, to and back. */
const STEP_MS = 4 * DAY_MS;
/** No time zone is further from UTC. */
const MAX_OFFSET_MS = 16 * 60 * 60 * 1000;

/** A day or a month: `[start, end)`, ms since 1970. */
export interface Period {
  /** `YYYY-MM-DD` or `YYYY-MM`. */
  name: string;
  start: number;
  end: number;
}

/** A date is here the ms of its midnight in UTC, whatever the time zone. */
export class Calendar {
  readonly #unit: 'day' | 'month';
  readonly #clock: Intl.DateTimeFormat | undefined;
  /** Of the zone, by the number of the step that begins with it; asking the clock takes long. */
  readonly #offsets = new Map<number, number>();
  #last: Period = { name: '', start: 0, end: 0 };

  /** Throws a RangeError where the time zone is unknown. */
  constructor(unit: 'day' | 'month', timeZone = 'UTC') {
    this.#unit = unit;
    this.#clock = timeZone === 'UTC' ? undefined : clockOf(timeZone);
  }

  /** Returns the period that has this instant. Quick where it is that of the last call. */
  periodAt(timestamp: number): Period {
    const { start, end } = this.#last;
    if (timestamp < start || timestamp >= end) this.#last = this.#periodOf(timestamp);
    return this.#last;
  }

  #periodOf(timestamp: number): Period {
    let first = this.#firstOf(this.#dateAt(timestamp));
    // A clock that was set back at midnight shows a date twice; its periods stay in one piece.
    if (timestamp >= this.#startOf(this.#after(first))) first = this.#after(first);
    else if (timestamp < this.#startOf(first)) first = this.#firstOf(first - DAY_MS);
    const name = new Date(first).toISOString().slice(0, this.#unit === 'day' ? 10 : 7);
    return { name, start: this.#startOf(first), end: this.#startOf(this.#after(first)) };
  }

  #firstOf(date: number): number {
    return this.#unit === 'day' ? date : new Date(date).setUTCDate(1);
  }

  #after(first: number): number {
    const date = new Date(first);
    return this.#unit === 'day' ? first + DAY_MS : date.setUTCMonth(date.getUTCMonth() + 1);
  }

  /** Returns the first instant of a date: 1:00 where the clocks skip midnight. */
  #startOf(date: number): number {
    const offset = this.#offsetAt(date);
    const guess = date - this.#offsetAt(date - offset);
    if (this.#dateAt(guess) === date && this.#dateAt(guess - 1) < date) return guess;
    let [before, from] = [date - MAX_OFFSET_MS, date + MAX_OFFSET_MS];
    while (from - before > 1) {
      const middle = Math.floor((before + from) / 2);
      if (this.#dateAt(middle) < date) before = middle;
      else from = middle;
    }
    return from;
  }

  #dateAt(timestamp: number): number {
    return Math.floor((timestamp + this.#offsetAt(timestamp)) / DAY_MS) * DAY_MS;
  }

  /** Returns by how much the clocks of the zone are ahead of UTC. */
  #offsetAt(timestamp: number): number {
    if (this.#clock === undefined) return 0;
    const step = Math.floor(timestamp / STEP_MS);
    const [before, after] = [this.#offsetOfStep(step), this.#offsetOfStep(step + 1)];
    return before === after ? before : offsetOf(this.#clock, timestamp);
  }

  #offsetOfStep(step: number): number {
    let offset = this.#offsets.get(step);
    if (offset === undefined) {
      offset = offsetOf(this.#clock!, step * STEP_MS);
      this.#offsets.set(step, offset);
    }
    return offset;
  }
}

function offsetOf(clock: Intl.DateTimeFormat, timestamp: number): number {
  const parts = clock.formatToParts(timestamp).map(({ type, value }) => [type, Number(value)]);
  const { year, month, day, hour, minute, second } = Object.fromEntries(parts);
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(timestamp / 1000) * 1000;
}

function clockOf(timeZone: string): Intl.DateTimeFormat {
  const numeric = 'numeric';
  return new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: numeric,
    month: numeric,
    day: numeric,
    hour: numeric,
    minute: numeric,
    second: numeric,
  });
}
