/** Lays the days of a year out as a calendar: a column for each week, Monday first. */
import { DAY_MS, type Day, dayNameOf } from '../state/layout.ts';

export interface CalendarDay {
  /** YYYY-MM-DD */
  name: string;
  count: number;
  /** 0: none; 1 to 4: how many, against the most of a day. */
  level: number;
  /** From 0, the week of 1 January. */
  week: number;
  /** 0: Monday. */
  weekday: number;
}

export interface CalendarYear {
  year: number;
  count: number;
  weeks: number;
  days: CalendarDay[];
  /** The week of the first day of each month. */
  months: number[];
}

const LEVELS = 4;

/** Only years with images, the newest first. Days without a name, of an answer that has no room for more, are left out. */
export function calendarOf(counted: readonly Pick<Day, 'name' | 'count'>[]): CalendarYear[] {
  const counts = new Map(counted.filter(({ name }) => name !== '').map(({ name, count }) => [name, count]));
  const most = Math.max(1, ...counts.values());
  const years = new Set([...counts.keys()].map((name) => Number(name.slice(0, 4))));
  return [...years].sort((a, b) => b - a).map((year) => yearOf(year, counts, most));
}

function yearOf(year: number, counts: ReadonlyMap<string, number>, most: number): CalendarYear {
  const first = Date.UTC(year, 0, 1);
  const offset = weekdayOf(first);
  const days: CalendarDay[] = [];
  const months: number[] = [];
  for (let time = first; new Date(time).getUTCFullYear() === year; time += DAY_MS) {
    const name = dayNameOf(time);
    const count = counts.get(name) ?? 0;
    const place = days.length + offset;
    const week = Math.floor(place / 7);
    if (name.endsWith('-01')) months.push(week);
    days.push({ name, count, level: levelOf(count, most), week, weekday: place % 7 });
  }
  const count = days.reduce((sum, day) => sum + day.count, 0);
  return { year, count, weeks: days.at(-1)!.week + 1, days, months };
}

/** By the logarithm: a day of a thousand does not make all others look empty. */
function levelOf(count: number, most: number): number {
  if (count === 0) return 0;
  return Math.max(1, Math.ceil((Math.log(count + 1) / Math.log(most + 1)) * LEVELS));
}

function weekdayOf(time: number): number {
  return (new Date(time).getUTCDay() + 6) % 7;
}
