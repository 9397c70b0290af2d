/** Parses arguments that are points in time, as the command line does. */
import { z } from 'zod';
import type { Age } from '../client.ts';

/** Parses points in time; all methods throw an error whose message says what was expected. */
export interface DateReader {
  /** Leaves an age to the daemon's clock. */
  parseCutoff(text: string): Date | Age;
  parseInstant(text: string): Date;
  /** Returns the first instant after a range: a plain date includes that day. */
  parseRangeEnd(text: string): Date;
}

const FORMS = ': RFC 3339, a date (UTC) or an age such as 12h, 30d, 2w';

/** `forms` is empty where an argument before has said them. */
export function instant<T extends Date | Age>(parse: (text: string) => T, meaning?: string, forms = FORMS) {
  const schema = z
    .string()
    .transform((text, { issues }) => {
      try {
        return parse(text);
      } catch (error) {
        issues.push({ code: 'custom', message: (error as Error).message, input: text });
        return z.NEVER;
      }
    })
    .optional();
  return meaning === undefined ? schema : schema.describe(`${meaning}${forms}`);
}
