/** Parses points in time as people write them: RFC 3339, a plain date (UTC), or an age such as `30d`. */

import { invalidField } from './errors.ts';
import type { Age, DateRange, Instant } from './requests.ts';
import { checkInstant } from './validation.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const UNIT_MS: Record<string, number> = { m: 60_000, h: HOUR_MS, d: DAY_MS, w: 7 * DAY_MS };

const AGE = /^(\d+)([mhdw])$/;
const DATE = /^\d{4}-\d\d-\d\d$/;
const RFC_3339 = /^(\d{4}-\d\d-\d\d)[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/i;

/** The accepted forms, for error messages. */
export const DATE_FORMS =
  'RFC 3339 with its zone (2024-09-27T14:15:22Z), a date (2024-09-27, UTC) or an age (90m, 12h, 30d, 2w)';

/** Returns the age, such as `30d`; undefined when the text is none. */
export function parseAge(text: string): Age | undefined {
  const age = AGE.exec(text.trim());
  return age ? { ageMs: Number(age[1]) * UNIT_MS[age[2]!]! } : undefined;
}

/** Returns the age as people write it, such as `30d`; of less than a minute in seconds. */
export function formatAge(ageMs: number): string {
  for (const unit of ['d', 'h', 'm'])
    if (ageMs > 0 && ageMs % UNIT_MS[unit]! === 0) return `${ageMs / UNIT_MS[unit]!}${unit}`;
  return `${Math.round(ageMs / 1000)}s`;
}

/** Returns the instant, of a plain date the first one; undefined when the text has none of the forms. */
export function parseInstant(text: string, now: Date = new Date()): Date | undefined {
  const instant = new Date(instantMs(text.trim(), now));
  return Number.isNaN(instant.getTime()) ? undefined : instant;
}

/** Returns the first instant after the range; a plain date includes that whole day. Undefined as in `parseInstant`. */
export function parseRangeEnd(text: string, now: Date = new Date()): Date | undefined {
  const instant = parseInstant(text, now);
  return instant && DATE.test(text.trim()) ? new Date(instant.getTime() + DAY_MS) : instant;
}

/**
 * Returns the instant as a Date. Throws FIELD_INVALID for anything but a Date, an age or one of the forms, and outside
 * the years 1970 to 9999.
 */
export function resolveInstant(field: string, instant: Instant, now = new Date(), parse = parseInstant): Date {
  const date = typeof instant === 'string' ? parse(instant, now) : isAge(instant) ? before(now, instant) : instant;
  if (date === undefined) throw invalidField(field, `must be ${DATE_FORMS}`);
  return new Date(checkInstant(field, date));
}

/** Returns the range with its bounds as Dates. Throws FIELD_INVALID as `resolveInstant`. */
export function resolveRange(range: DateRange<Instant>, now?: Date, field = 'date_range'): DateRange {
  if (typeof range !== 'object' || range === null) throw invalidField(field, 'must have a start, an end or both');
  const { start, end } = range;
  return {
    ...(start !== undefined && { start: resolveInstant(`${field}.start`, start, now) }),
    ...(end !== undefined && { end: resolveInstant(`${field}.end`, end, now, parseRangeEnd) }),
  };
}

function isAge(instant: Date | Age): instant is Age {
  return typeof instant === 'object' && instant !== null && 'ageMs' in instant;
}

function before(now: Date, { ageMs }: Age): Date {
  return new Date(now.getTime() - ageMs);
}

function instantMs(text: string, now: Date): number {
  const age = parseAge(text);
  if (age) return before(now, age).getTime();
  const day = DATE.test(text) ? text : RFC_3339.exec(text)?.[1];
  if (day === undefined || !isDay(day)) return Number.NaN;
  return Date.parse(text.toUpperCase().replace(' ', 'T'));
}

/** Date.parse accepts 30 February as 1 March. */
function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}
