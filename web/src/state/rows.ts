/**
 * The rows of a view, as far as somebody has looked at them. A row at any place is reached from the nearest place that a
 * list can begin at: either end of its day, or where an earlier request has stopped.
 */
import type { Page, Row } from '../api/images.ts';
import { DAY_MS, type Day, dayAt, dayNameOf, type Layout, startOf } from './layout.ts';
import type { Bounds } from './url.ts';

/** A List whose answer begins at a known place, and goes on in the order of the view or against it. */
export interface RunAsked {
  /** Against the order of the view. */
  isBackward: boolean;
  /** The day that it begins with; undefined: whatever is first in that direction. */
  from: Day | undefined;
  limit: number;
  pageToken: string;
}

export interface RowsOptions {
  layout: Layout;
  /** Rejects with an AbortError when the signal fires. */
  fetchPage(asked: RunAsked, signal: AbortSignal): Promise<Page>;
  /** Called when there are more rows. */
  onRows(): void;
  /** Called when a request fails; the next `want` tries again. */
  onError(error: unknown): void;
}

/** Of a row that was saved since on a day of its own. */
const NO_DAY: Day = { name: '', first: 0, count: 0 };
const CHUNK = 256;
/** Of 256 rows each: about 30 MB. */
const MAX_CHUNKS = 120;
const MIN_LIMIT = 120;
const MAX_LIMIT = 1000;

/** Where a list can be resumed. */
interface Run {
  isBackward: boolean;
  from: Day | undefined;
  pageToken: string;
  /** The place of the next row. */
  next: number;
}

export class Rows {
  #layout: Layout;
  readonly #options: RowsOptions;
  /** The least recently used first. */
  readonly #chunks = new Map<number, (Row | null | undefined)[]>();
  readonly #places = new Map<string, number>();
  #days: Map<string, Day> | undefined;
  #runs: Run[] = [];
  /** Nothing is before the one and from the other on, though it was counted. */
  #emptyTo = 0;
  #emptyFrom = Number.POSITIVE_INFINITY;
  #wanted = { first: 0, last: -1 };
  #fetching: { abort: AbortController; run: Run; limit: number } | undefined;

  constructor(options: RowsOptions) {
    this.#options = options;
    this.#layout = options.layout;
  }

  get layout(): Layout {
    return this.#layout;
  }

  /** Takes a layout that has more at its end. */
  grow(layout: Layout): void {
    this.#layout = layout;
    this.#days = undefined;
    // They have passed over rows whose days were not known.
    this.#runs = [];
    this.#emptyFrom = Number.POSITIVE_INFINITY;
    this.#pump();
  }

  /** Undefined: not read yet, or deleted since it was counted. */
  at(index: number): Row | undefined {
    return this.#slot(index) ?? undefined;
  }

  /** Whether there is no image any more that was counted. */
  isEmpty(index: number): boolean {
    return this.#slot(index) === null || index < this.#emptyTo || index >= this.#emptyFrom;
  }

  /** The place of an image, among those that were read. */
  placeOf(id: string): number | undefined {
    return this.#places.get(id);
  }

  /** Replaces a row that was read, such as one that was pinned. */
  replace(row: Row): void {
    const place = this.#places.get(row.id);
    if (place === undefined) return;
    const chunk = this.#chunks.get(Math.floor(place / CHUNK));
    if (chunk !== undefined) chunk[place % CHUNK] = row;
    this.#options.onRows();
  }

  /** Takes in what a request without a day has read of the beginning. */
  begin({ rows, nextPageToken }: Page): void {
    const run: Run = { isBackward: false, from: undefined, pageToken: '', next: 0 };
    this.#take(run, rows, nextPageToken);
  }

  /** Reads what is missing of these places, both included; forgets what was wanted before. */
  want(first: number, last: number): void {
    const end = this.layout.total - 1;
    this.#wanted = { first: Math.max(0, first), last: Math.min(end, last) };
    const isOverlapped = this.#fetching === undefined || this.#serves(this.#fetching);
    if (!isOverlapped) this.#fetching!.abort.abort();
    this.#pump();
  }

  /** Whether nothing of these places, both included, is left to read. */
  isRead(first: number, last: number): boolean {
    for (let index = Math.max(first, this.#emptyTo); index <= Math.min(last, this.#emptyFrom - 1); index += 1) {
      if (this.#slot(index) === undefined) return false;
    }
    return true;
  }

  /** Ends what is being read. */
  close(): void {
    this.#wanted = { first: 0, last: -1 };
    this.#fetching?.abort.abort();
  }

  #serves({ run, limit }: { run: Run; limit: number }): boolean {
    const { first, last } = this.#wanted;
    const reach = run.isBackward ? run.next - limit : run.next + limit;
    const [low, high] = run.isBackward ? [reach, run.next] : [run.next, reach];
    return high >= first && low <= last;
  }

  #pump(): void {
    if (this.#fetching !== undefined) return;
    const missing = this.#firstMissing();
    if (missing === undefined) return;
    const run = this.#nearest(missing);
    const { first, last } = this.#wanted;
    const reach = run.isBackward ? run.next - Math.max(first, missing - MIN_LIMIT) : last - run.next;
    const limit = Math.min(MAX_LIMIT, Math.max(MIN_LIMIT, reach + 1));
    const abort = new AbortController();
    this.#fetching = { abort, run, limit };
    const { isBackward, from, pageToken } = run;
    this.#options
      .fetchPage({ isBackward, from, limit, pageToken }, abort.signal)
      .then(({ rows, nextPageToken }) => {
        this.#fetching = undefined;
        this.#take(run, rows, nextPageToken);
        this.#pump();
      })
      .catch((error) => {
        this.#fetching = undefined;
        if (abort.signal.aborted) this.#pump();
        else this.#options.onError(error);
      });
  }

  #firstMissing(): number | undefined {
    const first = Math.max(this.#wanted.first, this.#emptyTo);
    const last = Math.min(this.#wanted.last, this.#emptyFrom - 1);
    for (let index = first; index <= last; index += 1) if (this.#slot(index) === undefined) return index;
    return undefined;
  }

  /** The run that has the least to read until it comes to the place. */
  #nearest(index: number): Run {
    const { layout } = this;
    const day = dayAt(layout, index);
    const isLast = day.first + day.count === layout.total;
    const candidates: Run[] = [
      { isBackward: false, from: day.first === 0 ? undefined : day, pageToken: '', next: day.first },
      { isBackward: true, from: isLast ? undefined : day, pageToken: '', next: day.first + day.count - 1 },
      ...this.#runs,
    ];
    const distance = ({ isBackward, next }: Run) => (isBackward ? next - index : index - next);
    const usable = candidates.filter((run) => distance(run) >= 0 && run.from?.name !== '');
    return usable.reduce((best, run) => (distance(run) < distance(best) ? run : best));
  }

  /** What was saved or deleted since the days were counted moves nothing but within its day. */
  #take(run: Run, rows: readonly Row[], nextPageToken: string): void {
    const step = run.isBackward ? -1 : 1;
    let { next } = run;
    for (const row of rows) {
      const day = this.#dayOf(row);
      const [near, far] = run.isBackward
        ? [day.first + day.count - 1, day.first]
        : [day.first, day.first + day.count - 1];
      if ((next - far) * step > 0) continue;
      for (; (next - near) * step < 0; next += step) this.#put(next, null);
      this.#put(next, row);
      next += step;
    }
    this.#runs = this.#runs.filter((other) => other !== run);
    if (nextPageToken !== '') this.#runs.push({ ...run, pageToken: nextPageToken, next });
    else if (run.isBackward) this.#emptyTo = Math.max(this.#emptyTo, next + 1);
    else this.#emptyFrom = Math.min(this.#emptyFrom, next);
    this.#evict();
    this.#options.onRows();
  }

  /** The rest where no day has its name. */
  #dayOf({ timestamp }: Row): Day {
    this.#days ??= new Map(this.layout.days.map((day) => [day.name, day]));
    return this.#days.get(dayNameOf(timestamp)) ?? this.#days.get('') ?? NO_DAY;
  }

  #slot(index: number): Row | null | undefined {
    return this.#chunks.get(Math.floor(index / CHUNK))?.[index % CHUNK];
  }

  #put(index: number, row: Row | null): void {
    const number = Math.floor(index / CHUNK);
    const chunk = this.#chunks.get(number) ?? [];
    // To the end: it was used last.
    this.#chunks.delete(number);
    this.#chunks.set(number, chunk);
    if (row === null) {
      chunk[index % CHUNK] ??= null;
      return;
    }
    chunk[index % CHUNK] = row;
    this.#places.set(row.id, index);
  }

  #evict(): void {
    const { first, last } = this.#wanted;
    for (const [number, chunk] of this.#chunks) {
      if (this.#chunks.size <= MAX_CHUNKS) return;
      if (number >= Math.floor(first / CHUNK) && number <= Math.floor(last / CHUNK)) continue;
      this.#chunks.delete(number);
      for (const row of chunk) if (row) this.#places.delete(row.id);
    }
  }
}

/** The bounds of time for a run that begins with its day. */
export function boundsOf({ from, isBackward }: RunAsked, oldestFirst: boolean): Bounds {
  if (from === undefined) return {};
  const start = startOf(from);
  // Forward among the newest first goes to older ones, as backward among the oldest first does.
  return oldestFirst === isBackward ? { end: start + DAY_MS } : { start };
}
