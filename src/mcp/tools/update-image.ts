/** The tool `update_image`: pins an image, and changes its tags and category. */
import { z } from 'zod';
import type { ImageStorageClient } from '../../client.ts';
import { summaryOf, summarySchema } from '../image.ts';
import { type AddTool, UPDATES } from '../tool.ts';

export function addUpdateImage(addTool: AddTool, client: ImageStorageClient): void {
  addTool({
    name: 'update_image',
    title: 'Pin or label an image',
    description: 'Pins an image, or changes its tags and category.',
    annotations: UPDATES,
    input: z.strictObject({
      filename: z.string(),
      pinned: z.boolean().optional().describe('true: cleanup_images spares it'),
      add_tags: z.array(z.string()).optional(),
      remove_tags: z.array(z.string()).optional(),
      category: z.string().optional().describe('"" removes it'),
      provider: z.string().optional(),
    }),
    output: z.object({ image: summarySchema }),
    async run({ filename: name, provider, add_tags: addTags, remove_tags: removeTags, ...changes }, signal) {
      const image = await client.update(name, { ...changes, addTags, removeTags }, { provider, signal });
      return { value: { image: summaryOf(image) } };
    },
  });
}
