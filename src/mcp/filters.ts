/** The arguments that select images, for the tools that list and count them. */
import { z } from 'zod';
import { findHints, hintLine } from '../client/hints.ts';
import type { CallOptions, Hint, ImageFilter, ImageStorageClient, ProviderChoice } from '../client.ts';
import { type DateReader, instant } from './instant.ts';

const SEARCH = `Terms that must all hold: word, "a phrase", -not, a OR b, or field:value with model, lora, filename, category, tag, \
sampler, scheduler, seed, sha256, type, negative (prompt), steps and cfg (28, >=20, 3..7), size (1024x768 or the longer \
edge), after and before (a UTC day), is:pinned, has:workflow. All else is words of the prompt`;

export function filterFields(dates: DateReader) {
  return {
    query: z.string().optional().describe(SEARCH),
    model: z.string().optional().describe("The model's name as it was saved, or its slug"),
    category: z.string().optional().describe('The exact category'),
    tags: z.array(z.string()).optional().describe('Tags that must all be there'),
    pinned: z.boolean().optional().describe('Only pinned images, or only those that are not'),
    since: instant(dates.parseInstant, 'Generated at this time or later'),
    until: instant(dates.parseRangeEnd, 'Generated before this time (a date includes that day)', ''),
  };
}

/** The same for a second tool: what the first has described is not repeated in an assistant's context. */
export function filterFieldsAgain(dates: DateReader) {
  return {
    query: z.string().optional().describe('This and the next six: as in list_images'),
    model: z.string().optional(),
    category: z.string().optional(),
    tags: z.array(z.string()).optional(),
    pinned: z.boolean().optional(),
    since: instant(dates.parseInstant),
    until: instant(dates.parseRangeEnd),
  };
}

/** What an empty answer says: how many images there are, and which models, categories or tags are like those asked for. */
export async function insteadOf(
  client: ImageStorageClient,
  filters: ImageFilter & ProviderChoice & CallOptions,
  found?: readonly Hint[],
) {
  const { provider, signal } = filters;
  const [stored, hints] = await Promise.all([client.totals({ provider, signal }), found ?? findHints(client, filters)]);
  return { stored: stored?.count, hints: hints.map(hintLine) };
}

/** Returns whether any image may be left out. */
export function isFiltered({ dateRange, ...filters }: ImageFilter): boolean {
  return [dateRange?.start, dateRange?.end, ...Object.values(filters)].some((value) => value !== undefined);
}
