/** The tool `storage_stats`: counts images and bytes. */
import { z } from 'zod';
import type { ImageStorageClient } from '../../client.ts';
import { anyProvider, natural } from '../image.ts';
import { type AddTool, READS } from '../tool.ts';

const groups = z.array(
  z.object({
    name: z.string().describe('Empty for images that have none'),
    count: natural,
    bytes: natural,
    rest: z.boolean().describe('The sum of all groups that are not listed'),
  }),
);

const providerStats = z.object({
  provider: z.string(),
  storage_type: z.string().describe('local or s3'),
  count: natural.describe('Images'),
  bytes: natural,
  pinned_count: natural,
  oldest: z.string().optional(),
  newest: z.string().optional(),
  by_model: groups.describe('The 100 with the most bytes'),
  by_category: groups.describe('The 100 with the most bytes'),
  by_date: groups.describe('The 100 newest UTC days'),
  capacity_bytes: natural.optional().describe('Of the file system; local stores only'),
  free_bytes: natural.optional(),
});

export function addStorageStats(addTool: AddTool, client: ImageStorageClient): void {
  addTool({
    name: 'storage_stats',
    title: 'Count images',
    description: 'Counts stored images and their bytes, by model, category and day.',
    annotations: READS,
    input: z.strictObject({ provider: anyProvider }),
    output: z.object({ providers: z.array(providerStats) }),
    run: async ({ provider }, signal) => ({ value: { providers: await client.stats(provider, { signal }) } }),
  });
}
