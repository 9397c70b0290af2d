/** Checks what is to be counted, and adds up the totals of several providers. */
import { Calendar } from '../domain/calendar.ts';
import { resolveRange } from '../domain/dates.ts';
import { invalidField } from '../domain/errors.ts';
import { checkFilter } from '../domain/filter.ts';
import { MAX_GROUPS, rankGroups } from '../domain/groups.ts';
import type { GroupBy, GroupStatistics, Instant, Totals, TotalsOptions } from '../domain/requests.ts';
import { checkCount, checkText } from '../domain/validation.ts';

const DEFAULT_LIMIT = 100;
const MAX_NAME_BYTES = 1024;
const GROUPS: readonly (GroupBy | undefined)[] = ['day', 'month', 'model', 'category', 'tag', 'lora', undefined];

/** Options that passed the checks. */
export type CheckedTotals = TotalsOptions & { limit: number };

/** Returns the options with their dates resolved. Throws FIELD_INVALID, which names the field. */
export function checkTotals(options: TotalsOptions<Instant>, now: Date): CheckedTotals {
  checkFilter(options);
  const dateRange = options.dateRange === undefined ? undefined : resolveRange(options.dateRange, now);
  if (!GROUPS.includes(options.by)) throw invalidField('by', 'must be day, month, model, category, tag or lora');
  checkText('starts_with', options.startsWith ?? '', MAX_NAME_BYTES);
  checkTimeZone(options.timeZone);
  const limit = checkCount('limit', options.limit ?? 0) || DEFAULT_LIMIT;
  if (limit > MAX_GROUPS) throw invalidField('limit', `${limit}, at most ${MAX_GROUPS}`);
  return { ...options, dateRange, limit };
}

/** Adds up the totals of several providers, each with as many groups as one may have. */
export function addTotals(totals: readonly Totals[], { by, limit }: CheckedTotals): Totals {
  const times = totals.flatMap(({ oldest, newest }) => [oldest, newest]).filter((time) => time !== undefined);
  times.sort((a, b) => a.getTime() - b.getTime());
  return {
    count: totals.reduce((sum, { count }) => sum + count, 0),
    bytes: totals.reduce((sum, { bytes }) => sum + bytes, 0),
    ...(times.length > 0 && { oldest: times[0], newest: times.at(-1) }),
    groups: rankGroups(joined(totals.flatMap(({ groups }) => groups)), by, limit),
    more: totals.some(({ more }) => more),
  };
}

/** Joins groups of the same name; the rests stay apart. */
function joined(groups: readonly GroupStatistics[]): GroupStatistics[] {
  const byName = new Map<string, GroupStatistics>();
  for (const { name, count, bytes, rest } of groups) {
    const key = `${rest} ${name}`;
    const before = byName.get(key) ?? { count: 0, bytes: 0 };
    byName.set(key, { name, rest, count: before.count + count, bytes: before.bytes + bytes });
  }
  return [...byName.values()];
}

function checkTimeZone(timeZone: string | undefined): void {
  if (timeZone === undefined) return;
  checkText('time_zone', timeZone, MAX_NAME_BYTES);
  try {
    new Calendar('day', timeZone);
  } catch {
    throw invalidField('time_zone', `no time zone is named "${timeZone}"`);
  }
}
