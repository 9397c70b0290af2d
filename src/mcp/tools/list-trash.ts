/** The tool `list_trash`: finds deleted images that can be brought back. */
import { z } from 'zod';
import type { ImageStorageClient, TrashedImage } from '../../client.ts';
import { rowOf } from '../image.ts';
import { CHARS_PER_IMAGE, fittingRows, type Room } from '../length.ts';
import { type AddTool, READS } from '../tool.ts';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 200;

export function addListTrash(addTool: AddTool, client: ImageStorageClient): void {
  addTool({
    name: 'list_trash',
    title: 'List deleted images',
    description:
      'Lists the images in the trash, the last deleted first, and until when restore_images can bring them back. With ' +
      'more there are others: narrow the query.',
    annotations: READS,
    input: z.strictObject({
      query: z.string().optional().describe('This and provider: as in list_images'),
      provider: z.string().optional(),
      limit: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
    }),
    async run({ limit, ...options }, signal) {
      const images: TrashedImage[] = [];
      for await (const image of client.listTrash({ ...options, limit: limit + 1, signal })) images.push(image);
      if (images.length === 0) return { value: { total: 0 } };
      const row = (image: TrashedImage, room: Room) => ({
        ...rowOf(image, room),
        restorable_until: `${image.purgeTime.toISOString().slice(0, 16)}Z`,
      });
      const table = fittingRows(images.slice(0, limit), row, Math.max(DEFAULT_LIMIT, limit) * CHARS_PER_IMAGE);
      return { value: { ...table, more: table.rows.length < images.length || undefined } };
    },
  });
}
