/** Points in time as flags: what the storage library reads, and commander's error for what it does not. */
import { InvalidArgumentError } from 'commander';
import * as dates from '../../storage/domain/dates.ts';

/** A date is its first instant. Throws commander's InvalidArgumentError. */
export function parseInstant(text: string): Date {
  return dates.parseInstant(text) ?? refuse();
}

/** The first instant after the range; a date as its end includes that whole day. Throws like `parseInstant`. */
export function parseRangeEnd(text: string): Date {
  return dates.parseRangeEnd(text) ?? refuse();
}

function refuse(): never {
  throw new InvalidArgumentError(`Expected ${dates.DATE_FORMS}.`);
}
