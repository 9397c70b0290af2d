/** The arguments that select images, for the tools that list and count them. */
import { z } from 'zod';
import type { ImageFilter } from '../client.ts';
import { type DateReader, instant } from './instant.ts';

export function filterFields(dates: DateReader) {
  return {
    query: z.string().optional().describe('Words of the prompt, or their beginnings; all must occur'),
    model: z.string().optional().describe("The model's name as it was saved, or its slug"),
    category: z.string().optional().describe('The exact category'),
    tags: z.array(z.string()).optional().describe('Tags that must all be there'),
    pinned: z.boolean().optional().describe('Only pinned images, or only those that are not'),
    since: instant(dates.parseInstant, 'Generated at this time or later'),
    until: instant(dates.parseRangeEnd, 'Generated before this time (a date includes that day)'),
  };
}

/** What there is in place of a model, category or tag that no image has. */
export const hintLines = z.array(z.string()).optional().describe('Nothing matches: what there is instead');

/** Returns whether any image may be left out. */
export function isFiltered({ dateRange, ...filters }: ImageFilter): boolean {
  return [dateRange?.start, dateRange?.end, ...Object.values(filters)].some((value) => value !== undefined);
}
