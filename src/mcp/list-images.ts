/** The tool `list_images`: finds images by their metadata. */
import { z } from 'zod';
import type { Image, ImageStorageClient } from '../client.ts';
import { anyProvider, summaryOf, summarySchema } from './image.ts';
import { type DateReader, instant } from './instant.ts';
import { type AddTool, READS } from './tool.ts';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 200;

export function addListImages(addTool: AddTool, client: ImageStorageClient, dates: DateReader): void {
  addTool({
    name: 'list_images',
    title: 'List images',
    description: 'Finds stored images that match every given filter, newest first. Long prompts are cut.',
    annotations: READS,
    input: z.strictObject({
      query: z.string().optional().describe('Words of the prompt, or their beginnings; all must occur'),
      model: z.string().optional().describe("The model's name as it was saved, or its slug"),
      category: z.string().optional().describe('The exact category'),
      tags: z.array(z.string()).optional().describe('Tags that must all be there'),
      pinned: z.boolean().optional().describe('Only pinned images, or only those that are not'),
      since: instant(dates.parseInstant, 'Generated at this time or later'),
      until: instant(dates.parseRangeEnd, 'Generated before this time (a date includes that day)'),
      provider: anyProvider,
      order: z.enum(['newest', 'oldest']).default('newest').describe('Which come first'),
      limit: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
    }),
    output: z.object({
      images: z.array(summarySchema),
      more: z.boolean().describe('There are more: narrow the filters, or go on with until (since, for oldest first)'),
    }),
    async run({ since: start, until: end, limit, ...filters }, signal) {
      const images: Image[] = [];
      // One more than is shown tells whether there are more.
      for await (const image of client.list({ ...filters, dateRange: { start, end }, limit: limit + 1, signal })) {
        images.push(image);
      }
      return { value: { images: images.slice(0, limit).map(summaryOf), more: images.length > limit } };
    },
  });
}
