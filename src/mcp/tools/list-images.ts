/** The tool `list_images`: finds images by their metadata. */
import { z } from 'zod';
import { hintLine } from '../../client/hints.ts';
import type { Hint, Image, ImageStorageClient } from '../../client.ts';
import { filterFields, hintLines } from '../filters.ts';
import { summaryOf, summarySchema } from '../image.ts';
import type { DateReader } from '../instant.ts';
import { isBehind, pageToken, restOf } from '../page-token.ts';
import { type AddTool, READS } from '../tool.ts';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 200;
export function addListImages(addTool: AddTool, client: ImageStorageClient, dates: DateReader): void {
  addTool({
    name: 'list_images',
    title: 'List images',
    description: 'Finds stored images that match every given filter, newest first. Long prompts are cut.',
    annotations: READS,
    input: z.strictObject({
      ...filterFields(dates),
      provider: z.string().optional().describe('"*" is all of them; default: the default provider'),
      order: z.enum(['newest', 'oldest']).default('newest'),
      limit: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
      page_token: z.string().optional().describe('The next_page_token of an answer with the same arguments'),
    }),
    output: z.object({
      images: z.array(summarySchema),
      next_page_token: z.string().optional().describe('There are more'),
      hints: hintLines,
    }),
    async run({ since: start, until: end, limit, page_token, ...filters }, signal) {
      const { order } = filters;
      const dateRange = page_token === undefined ? { start, end } : restOf({ start, end }, page_token, order);
      // One more than is shown, to know whether there are more. Images that were shown before may come first again.
      const most = page_token === undefined ? limit + 1 : 0;
      const images: Image[] = [];
      let hints: string[] | undefined;
      const onHints = (found: Hint[]) => {
        hints = found.map(hintLine);
      };
      for await (const image of client.list({ ...filters, dateRange, view: 'row', limit: most, onHints, signal })) {
        if (page_token === undefined || isBehind(image, page_token, order)) images.push(image);
        if (images.length > limit) break;
      }
      const shown = images.slice(0, limit);
      const nextPageToken = images.length > limit ? pageToken(shown.at(-1)!) : undefined;
      return { value: { images: shown.map(summaryOf), nextPageToken, hints } };
    },
  });
}
