/** Arguments that are points in time, read as the command line reads them. */
import { z } from 'zod';

/** How texts become points in time; both throw an error whose message says what was expected. */
export interface DateReader {
  parseInstant(text: string): Date;
  /** The first instant after a range: a plain date includes that day. */
  parseRangeEnd(text: string): Date;
}

const FORMS = 'RFC 3339, a date (UTC) or an age such as 12h, 30d, 2w';

export function instant(parse: (text: string) => Date, meaning: string) {
  return z
    .string()
    .transform((text, { issues }) => {
      try {
        return parse(text);
      } catch (error) {
        issues.push({ code: 'custom', message: (error as Error).message, input: text });
        return z.NEVER;
      }
    })
    .optional()
    .describe(`${meaning}: ${FORMS}`);
}
