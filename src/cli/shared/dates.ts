/** Parses points in time of flags as the storage library does, with commander's error. */
import { InvalidArgumentError } from 'commander';
import * as dates from '../../storage/domain/dates.ts';
import type { Age } from '../../storage/domain/requests.ts';

/** Returns an age as it is, for the daemon to resolve by its own clock, and any other instant like `parseInstant`. */
export function parseCutoff(text: string): Date | Age {
  return dates.parseAge(text) ?? parseInstant(text);
}

/** Returns the instant; a date is its first one. Throws commander's InvalidArgumentError. */
export function parseInstant(text: string): Date {
  return dates.parseInstant(text) ?? refuse();
}

/** Returns the first instant after the range; a date as its end includes that whole day. Throws like `parseInstant`. */
export function parseRangeEnd(text: string): Date {
  return dates.parseRangeEnd(text) ?? refuse();
}

/** Returns how long an image is wanted. Throws commander's InvalidArgumentError. */
export function parseTtl(text: string): Age {
  const age = dates.parseAge(text);
  if (age === undefined) throw new InvalidArgumentError('Expected a time such as 30m, 2h or 7d.');
  return age;
}

function refuse(): never {
  throw new InvalidArgumentError(`Expected ${dates.DATE_FORMS}.`);
}
