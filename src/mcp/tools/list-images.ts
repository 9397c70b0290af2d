/** The tool `list_images`: finds images by their metadata. */
import { z } from 'zod';
import type { Image, ImageStorageClient } from '../../client.ts';
import { anyProvider, summaryOf, summarySchema } from '../image.ts';
import { type DateReader, instant } from '../instant.ts';
import { isBehind, pageToken, restOf } from '../page-token.ts';
import { type AddTool, READS } from '../tool.ts';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 200;
const SEARCH = `Terms that must all hold: word, "a phrase", -not, a OR b, or field:value with model, lora, filename, category, tag, \
sampler, scheduler, seed, sha256, type, negative (prompt), steps and cfg (28, >=20, 3..7), size (1024x768 or the longer \
edge), after and before (a UTC day), is:pinned, has:workflow. All else is words of the prompt`;

export function addListImages(addTool: AddTool, client: ImageStorageClient, dates: DateReader): void {
  addTool({
    name: 'list_images',
    title: 'List images',
    description: 'Finds stored images that match every given filter, newest first. Long prompts are cut.',
    annotations: READS,
    input: z.strictObject({
      query: z.string().optional().describe(SEARCH),
      model: z.string().optional().describe("The model's name as it was saved, or its slug"),
      category: z.string().optional().describe('The exact category'),
      tags: z.array(z.string()).optional().describe('Tags that must all be there'),
      pinned: z.boolean().optional().describe('Only pinned images, or only those that are not'),
      since: instant(dates.parseInstant, 'Generated at this time or later'),
      until: instant(dates.parseRangeEnd, 'Generated before this time (a date includes that day)'),
      provider: anyProvider,
      order: z.enum(['newest', 'oldest']).default('newest').describe('Which come first'),
      limit: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
      page_token: z.string().optional().describe('The next_page_token of an answer, with the same arguments: goes on'),
    }),
    output: z.object({
      images: z.array(summarySchema),
      next_page_token: z.string().optional().describe('There are more: narrow the filters, or go on with this'),
    }),
    async run({ since: start, until: end, limit, page_token, ...filters }, signal) {
      const { order } = filters;
      const dateRange = page_token === undefined ? { start, end } : restOf({ start, end }, page_token, order);
      // One more than is shown, to know whether there are more. Images that were shown before may come first again.
      const most = page_token === undefined ? limit + 1 : 0;
      const images: Image[] = [];
      for await (const image of client.list({ ...filters, dateRange, limit: most, signal })) {
        if (page_token === undefined || isBehind(image, page_token, order)) images.push(image);
        if (images.length > limit) break;
      }
      const shown = images.slice(0, limit);
      const nextPageToken = images.length > limit ? pageToken(shown.at(-1)!) : undefined;
      return { value: { images: shown.map(summaryOf), nextPageToken } };
    },
  });
}
