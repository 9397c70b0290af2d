/** Reads points in time as people write them: RFC 3339, a plain date (UTC), or an age such as `30d`. */
import { InvalidArgumentError } from 'commander';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const UNIT_MS: Record<string, number> = { m: 60_000, h: HOUR_MS, d: DAY_MS, w: 7 * DAY_MS };

const AGE = /^(\d+)([mhdw])$/;
const DATE = /^\d{4}-\d\d-\d\d$/;
const RFC_3339 = /^(\d{4}-\d\d-\d\d)[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/i;
const EXPECTED =
  'Expected RFC 3339 with its zone (2024-09-27T14:15:22Z), a date (2024-09-27, UTC) or an age (90m, 12h, 30d, 2w).';

/** A date is its first instant. Throws commander's InvalidArgumentError. */
export function parseInstant(text: string, now: Date = new Date()): Date {
  const instant = new Date(instantMs(text.trim(), now));
  if (Number.isNaN(instant.getTime())) throw new InvalidArgumentError(EXPECTED);
  return instant;
}

/** The first instant after the range; a date as its end includes that whole day. Throws like `parseInstant`. */
export function parseRangeEnd(text: string, now: Date = new Date()): Date {
  const instant = parseInstant(text, now);
  return DATE.test(text.trim()) ? new Date(instant.getTime() + DAY_MS) : instant;
}

function instantMs(text: string, now: Date): number {
  const age = AGE.exec(text);
  if (age) return now.getTime() - Number(age[1]) * UNIT_MS[age[2]!]!;
  const day = DATE.test(text) ? text : RFC_3339.exec(text)?.[1];
  if (day === undefined || !isDay(day)) return Number.NaN;
  return Date.parse(text.toUpperCase().replace(' ', 'T'));
}

/** Date.parse takes 30 February for 1 March. */
function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}
