/** Where each image stands among all that match: days, each with its place and its number of images. */

/** A day of UTC, or the undated rest of an answer that has no room for more. */
export interface Day {
  /** YYYY-MM-DD; empty: the rest. */
  name: string;
  /** The place of its first image. */
  first: number;
  count: number;
}

export interface Layout {
  /** In the order of the view. */
  days: readonly Day[];
  total: number;
}

export const DAY_MS = 24 * 60 * 60 * 1000;

/** `groups` are in the order of the view. */
export function createLayout(groups: readonly { name: string; count: number }[]): Layout {
  let total = 0;
  const days = groups.map(({ name, count }) => {
    const day = { name, first: total, count };
    total += count;
    return day;
  });
  return { days, total };
}

/** Requires `0 <= index < total`. */
export function dayAt({ days }: Layout, index: number): Day {
  let low = 0;
  let high = days.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (days[middle]!.first <= index) low = middle;
    else high = middle - 1;
  }
  return days[low]!;
}

/** The time that a day begins, in ms since 1970. */
export function startOf({ name }: Pick<Day, 'name'>): number {
  return Date.parse(name);
}

export function dayNameOf(timestamp: number): string {
  return new Date(timestamp).toISOString().slice(0, 10);
}

export interface Month {
  /** YYYY-MM */
  name: string;
  first: number;
  count: number;
}

/** In the order of the days. */
export function monthsOf({ days }: Layout): Month[] {
  const months: Month[] = [];
  for (const { name, first, count } of days) {
    const month = name.slice(0, 7);
    const last = months.at(-1);
    if (last?.name === month) last.count += count;
    else months.push({ name: month, first, count });
  }
  return months;
}
