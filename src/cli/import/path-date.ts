/** Reads the date that generators write into the names of files and folders. */

/** `20240927_141522`, `2024-09-27 14.15.22`, `2024-09-27_14-15-22_1234`. */
const MOMENT = /(?<!\d)(\d{4})[-_.]?(\d\d)[-_.]?(\d\d)[-_. T]+(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)(?!\d)/g;
/** `2024-09-27`; without hyphens it could be a seed. */
const DAY = /(?<!\d)(\d{4})-(\d\d)-(\d\d)(?!\d)/g;
const FIRST_YEAR = 1970;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** The largest offset of a time zone from UTC. */
const ZONE_MS = 14 * HOUR_MS;

/**
 * Returns the date in the path, in ms since 1970, read as UTC; undefined without one. For a day without a time, returns
 * `modifiedAt` if it is on that day in some time zone, else the start of the day.
 */
export function dateInPath(relativePath: string, modifiedAt: number): number | undefined {
  const moment = lastDate(relativePath, MOMENT);
  if (moment !== undefined) return moment;
  const day = lastDate(relativePath, DAY);
  const sameDay = day !== undefined && modifiedAt >= day - ZONE_MS && modifiedAt < day + DAY_MS + ZONE_MS;
  return sameDay ? modifiedAt : day;
}

function lastDate(path: string, pattern: RegExp): number | undefined {
  const dates = [...path.matchAll(pattern)].map(([, ...fields]) => utc(fields.map(Number)));
  return dates.findLast((date) => date !== undefined);
}

/** Returns undefined for a date that does not exist, such as 30 February. */
function utc([year, month, day, ...time]: number[]): number | undefined {
  const [hour = 0, minute = 0, second = 0] = time;
  const date = new Date(Date.UTC(year!, month! - 1, day, hour, minute, second));
  const real =
    date.getUTCMonth() === month! - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60;
  return real && year! >= FIRST_YEAR ? date.getTime() : undefined;
}
