/** The date that stands in the names of a file and its folders, as generators write it. */

/** `20240927_141522`, `2024-09-27 14.15.22`, `2024-09-27_14-15-22_1234`. */
const MOMENT = /(?<!\d)(\d{4})[-_.]?(\d\d)[-_.]?(\d\d)[-_. T]+(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)(?!\d)/g;
/** `2024-09-27`; without hyphens it could be a seed. */
const DAY = /(?<!\d)(\d{4})-(\d\d)-(\d\d)(?!\d)/g;
const FIRST_YEAR = 1970;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** How far a zone may be from UTC. */
const ZONE_MS = 14 * HOUR_MS;

/**
 * In ms since 1970, read as UTC. Where only a day is told it is `modifiedAt` that tells the time, unless it lies on
 * another day: then the day begins it. Undefined where no date is told.
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

/** Undefined for what no calendar has, such as 30 February. */
function utc([year, month, day, ...time]: number[]): number | undefined {
  const [hour = 0, minute = 0, second = 0] = time;
  const date = new Date(Date.UTC(year!, month! - 1, day, hour, minute, second));
  const real =
    date.getUTCMonth() === month! - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60;
  return real && year! >= FIRST_YEAR ? date.getTime() : undefined;
}
