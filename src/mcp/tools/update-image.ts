/** The tool `update_image`: pins an image, and changes its tags and category. */
import { z } from 'zod';
import { type ImageStorageClient, ImageStorageError } from '../../client.ts';
import { ToolError } from '../errors.ts';
import { filename, summaryOf, summarySchema } from '../image.ts';
import { type AddTool, UPDATES } from '../tool.ts';

/** The gRPC status code. */
const UNIMPLEMENTED = 12;

export function addUpdateImage(addTool: AddTool, client: ImageStorageClient): void {
  addTool({
    name: 'update_image',
    title: 'Pin or label an image',
    description: 'Pins an image, or changes its tags and category.',
    annotations: UPDATES,
    input: z.strictObject({
      filename,
      pinned: z.boolean().optional().describe('true: cleanup_images spares it'),
      add_tags: z.array(z.string()).optional(),
      remove_tags: z.array(z.string()).optional(),
      category: z.string().optional().describe('"" removes it'),
      provider: z.string().optional(),
    }),
    output: z.object({ image: summarySchema }),
    async run({ filename: name, provider, add_tags: addTags, remove_tags: removeTags, ...changes }, signal) {
      const update = client.update(name, { ...changes, addTags, removeTags }, { provider, signal });
      return { value: { image: summaryOf(await update.catch(explainOlder)) } };
    },
  });
}

function explainOlder(error: unknown): never {
  if (!(error instanceof ImageStorageError) || error.code !== UNIMPLEMENTED) throw error;
  throw new ToolError('This daemon is older: it cannot change images.');
}
