/** The tool `get_image`: shows one image and all its metadata. */
import { z } from 'zod';
import { pageLink } from '../../client/page-link.ts';
import type { ImageStorageClient } from '../../client.ts';
import { detailsOf } from '../image.ts';
import { createPreviewer } from '../preview.ts';
import { readImage, resourceLink } from '../resource.ts';
import { type AddTool, READS } from '../tool.ts';

export function addGetImage(addTool: AddTool, client: ImageStorageClient, address: string): void {
  const createPreview = createPreviewer();
  addTool({
    name: 'get_image',
    title: 'Look at an image',
    description:
      'Shows one stored image, reduced where it is large, and its metadata: generation has the settings in one ' +
      'vocabulary, parameters what else the generator left; graphs are left out. link is its page, for the user.',
    annotations: READS,
    input: z.strictObject({
      filename: z.string().describe('As list_images gives it'),
      provider: z.string().optional().describe('Default: the default provider'),
    }),
    async run({ filename, provider }, signal) {
      const { image } = await client.get(filename, { provider, metadataOnly: true, signal });
      const { note, picture } = await createPreview(image, () => readImage(client, image, signal));
      return {
        value: { image: detailsOf(image, pageLink(image, address, provider)), preview: note },
        content: [resourceLink(image), ...(picture ? [picture] : [])],
      };
    },
  });
}
