/** The tool `update_image`: pins an image, and changes its tags and category. */
import { z } from 'zod';
import { pageLink } from '../../client/page-link.ts';
import type { ImageStorageClient } from '../../client.ts';
import { type AddTool, UPDATES } from '../tool.ts';

export function addUpdateImage(addTool: AddTool, client: ImageStorageClient, address: string): void {
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
    async run({ filename: name, provider, add_tags: addTags, remove_tags: removeTags, ...changes }, signal) {
      const image = await client.update(name, { ...changes, addTags, removeTags }, { provider, signal });
      const { filename, pinned, metadata } = image;
      const { category, tags } = metadata;
      return { value: { image: { filename, link: pageLink(image, address, provider), pinned, category, tags } } };
    },
  });
}
