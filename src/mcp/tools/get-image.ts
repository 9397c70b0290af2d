/** The tool `get_image`: shows one image and all its metadata. */
import { z } from 'zod';
import type { ImageStorageClient } from '../../client.ts';
import { detailsOf, detailsSchema } from '../image.ts';
import { createPreviewer } from '../preview.ts';
import { readImage, resourceLink } from '../resource.ts';
import { type AddTool, READS } from '../tool.ts';

export function addGetImage(addTool: AddTool, client: ImageStorageClient): void {
  const createPreview = createPreviewer();
  addTool({
    name: 'get_image',
    title: 'Look at an image',
    description:
      'Shows one stored image, reduced where it is large, with its whole metadata and a link to the original.',
    annotations: READS,
    input: z.strictObject({
      filename: z.string().describe('As list_images gives it'),
      provider: z.string().optional().describe('Default: the default provider'),
    }),
    output: z.object({
      image: detailsSchema,
      preview: z.string().describe('What the image content is, or why there is none'),
    }),
    async run({ filename, provider }, signal) {
      const { image } = await client.get(filename, { provider, metadataOnly: true, signal });
      const preview = await createPreview(image, () => readImage(client, image, signal));
      const picture = preview.picture ? [preview.picture] : [];
      return {
        value: { image: detailsOf(image), preview: preview.note },
        content: [resourceLink(image), ...picture],
      };
    },
  });
}
