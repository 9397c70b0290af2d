/** The tool `restore_images`: brings deleted images back from the trash. */
import { z } from 'zod';
import type { ImageStorageClient } from '../../client.ts';
import { type AddTool, UPDATES } from '../tool.ts';

const MAX_FILENAMES = 1000;

export function addRestoreImages(addTool: AddTool, client: ImageStorageClient): void {
  addTool({
    name: 'restore_images',
    title: 'Restore deleted images',
    description: 'Brings images back from the trash, as they were; list_trash names them.',
    annotations: UPDATES,
    input: z.strictObject({
      filenames: z.array(z.string()).min(1).max(MAX_FILENAMES),
      provider: z.string().optional(),
    }),
    output: z.object({
      restored: z.array(z.string()),
      not_restored: z.array(z.object({ filename: z.string(), reason: z.string() })).describe('NOT_DELETED: it is live'),
    }),
    async run({ filenames, provider }, signal) {
      const results = await client.restore(filenames, { provider, signal });
      const restored = results.filter((result) => result.restored).map((result) => result.filename);
      return { value: { restored, notRestored: results.filter((result) => !result.restored) } };
    },
  });
}
