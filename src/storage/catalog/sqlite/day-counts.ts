/** Counts images by UTC days and parts of them: from the rollups where a day is whole, else in an index. */
import type { SQLInputValue } from 'node:sqlite';
import type { Calendar } from '../../domain/calendar.ts';
import { addTo, type Sum } from '../../domain/groups.ts';
import { isModelSlug, utcDay } from '../../domain/naming.ts';
import type { CatalogQuery } from '../catalog.ts';
import type { Tally } from '../tally.ts';
import type { Connection } from './connection.ts';
import type { Slice } from './pause.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const DAYS_AT_ONCE = 500;
const LAST = '\u{10ffff}';

/** Images that an index has in the order of time. */
export interface Scope {
  index: string;
  sql: string;
  values: SQLInputValue[];
}

/** All images. */
export const EVERY: Scope = { index: 'images_time', sql: 'TRUE', values: [] };

/** Of timestamps; unset: unbounded. */
type Range = Pick<CatalogQuery, 'start' | 'end'>;

interface Part {
  /** Of its group. */
  name: string;
  start: number;
  end: number;
}

/** Returns the scope of the filters besides dates; undefined where no index has just these images. */
export function scopeOf({ model, category, pinned, tags = [], query = '' }: CatalogQuery): Scope | undefined {
  const filters = [model, category, pinned !== undefined].filter(Boolean).length;
  if (query.trim() !== '' || tags.length > 0 || pinned === false || filters > 1) return undefined;
  if (model) {
    const scope = { index: 'images_model', sql: 'model_slug = ?', values: [model] };
    return isModelSlug(model) ? scope : undefined;
  }
  if (category) return { index: 'images_category', sql: "category = ? AND category <> ''", values: [category] };
  return pinned ? { index: 'images_pinned', sql: 'pinned = 1', values: [] } : EVERY;
}

/** All methods require an open transaction. */
export class DayCounts {
  readonly #db: Connection;

  constructor(db: Connection) {
    this.#db = db;
  }

  /**
   * Adds the newest images of the range, in total and by the periods of the calendar, until the slice is over. Returns
   * the start of the range that was added; undefined where nothing is left.
   */
  count(range: Range, scope: Scope, calendar: Calendar | undefined, tally: Tally, slice: Slice): number | undefined {
    const days = this.#days(range);
    let from: number | undefined;
    for (const { name, ...sum } of days) {
      from = Date.parse(name);
      const [start, end] = [Math.max(from, range.start ?? from), Math.min(from + DAY_MS, range.end ?? Infinity)];
      const isWhole = scope === EVERY && end - start === DAY_MS;
      this.#add(partsOf(start, end, calendar), scope, tally, isWhole ? sum : undefined);
      if (slice.isOver) return from;
    }
    return days.length < DAYS_AT_ONCE ? undefined : from;
  }

  /** Returns the timestamp of the oldest or the newest image of the range. */
  first(which: 'oldest' | 'newest', { index, sql, values }: Scope, { start, end }: Range): number | undefined {
    const statement = `
      SELECT timestamp FROM images INDEXED BY ${index}
      WHERE delete_time IS NULL AND ${sql} AND timestamp >= ? AND timestamp < ?
      ORDER BY timestamp ${which === 'oldest' ? 'ASC' : 'DESC'} LIMIT 1`;
    const bounds = [start ?? Number.MIN_SAFE_INTEGER, end ?? Number.MAX_SAFE_INTEGER];
    return this.#db.value(statement, ...values, ...bounds) as number | undefined;
  }

  /** Returns the last days of the range that have images. */
  #days({ start, end }: Range): (Sum & { name: string })[] {
    const sql = `
      SELECT name, count, bytes FROM rollups WHERE kind = 'date' AND name >= ? AND name <= ?
      ORDER BY name DESC LIMIT ${DAYS_AT_ONCE}`;
    const bounds = [start === undefined ? '' : utcDay(start), end === undefined ? LAST : utcDay(end - 1)];
    return this.#db.all(sql, ...bounds) as never;
  }

  /** `whole`: what all parts have together. What the longest of them has need not be counted then. */
  #add(parts: Part[], scope: Scope, tally: Tally, whole: Sum | undefined): void {
    const rest = whole && { ...whole };
    const longest = rest && parts.reduce((a, b) => (b.end - b.start > a.end - a.start ? b : a));
    for (const part of parts) {
      if (part === longest) continue;
      const { count, bytes } = this.#within(part, scope);
      if (rest !== undefined) addTo(rest, { count: -count, bytes: -bytes });
      tally.add({ count, bytes });
      tally.addToGroup(part.name, { count, bytes });
    }
    if (rest === undefined || longest === undefined) return;
    tally.add(rest);
    tally.addToGroup(longest.name, rest);
  }

  #within({ start, end }: Part, { index, sql, values }: Scope): Sum {
    const statement = `
      SELECT count(*) AS count, ifnull(sum(size), 0) AS bytes FROM images INDEXED BY ${index}
      WHERE delete_time IS NULL AND ${sql} AND timestamp >= ? AND timestamp < ?`;
    return this.#db.get(statement, ...values, start, end) as never;
  }
}

/** Divides a part of a day by the periods of the calendar. */
function partsOf(start: number, end: number, calendar: Calendar | undefined): Part[] {
  if (calendar === undefined) return [{ name: '', start, end }];
  const parts: Part[] = [];
  for (let from = start; from < end; ) {
    const period = calendar.periodAt(from);
    const to = Math.min(period.end, end);
    parts.push({ name: period.name, start: from, end: to });
    from = to;
  }
  return parts;
}
