/** The tool `list_trash`: finds deleted images that can be brought back. */
import { z } from 'zod';
import type { ImageStorageClient, TrashedImage } from '../../client.ts';
import { summaryOf, summarySchema } from '../image.ts';
import { type AddTool, READS } from '../tool.ts';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 200;

export function addListTrash(addTool: AddTool, client: ImageStorageClient): void {
  addTool({
    name: 'list_trash',
    title: 'List deleted images',
    description: 'Lists the images in the trash, the last deleted first. restore_images brings them back.',
    annotations: READS,
    input: z.strictObject({
      query: z.string().optional().describe('This and provider: as in list_images'),
      provider: z.string().optional(),
      limit: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
    }),
    output: z.object({
      images: z.array(summarySchema.omit({ url: true }).extend({ delete_time: z.string(), purge_time: z.string() })),
      more: z.boolean().describe('There are more: narrow the query'),
    }),
    async run({ limit, ...options }, signal) {
      const images: TrashedImage[] = [];
      for await (const image of client.listTrash({ ...options, limit: limit + 1, signal })) images.push(image);
      return { value: { images: images.slice(0, limit).map(summaryOf), more: images.length > limit } };
    },
  });
}
