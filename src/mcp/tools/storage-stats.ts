/** The tool `storage_stats`: counts images and bytes. */
import { z } from 'zod';
import { findHints, hintLine } from '../../client/hints.ts';
import { GROUPS } from '../../client/types.ts';
import type { ImageStorageClient } from '../../client.ts';
import { ToolError } from '../errors.ts';
import { filterFieldsAgain, isFiltered } from '../filters.ts';
import { natural } from '../image.ts';
import type { DateReader } from '../instant.ts';
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
  trash_count: natural.describe('Images in the trash, counted nowhere else'),
  trash_bytes: natural,
});

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1000;

const totals = {
  count: natural.optional(),
  bytes: natural.optional(),
  oldest: z.string().optional(),
  newest: z.string().optional(),
  groups: groups.optional(),
  more: z.boolean().optional().describe('Only the newest were counted'),
  hints: z.array(z.string()).optional(),
};

export function addStorageStats(addTool: AddTool, client: ImageStorageClient, dates: DateReader): void {
  addTool({
    name: 'storage_stats',
    title: 'Count images',
    description:
      'Counts stored images and their bytes: of whole providers, by model, category and day; or, with by or a filter, ' +
      'of the images that match.',
    annotations: READS,
    input: z.strictObject({
      by: z.enum(GROUPS).optional().describe('Groups the images that match'),
      ...filterFieldsAgain(dates),
      starts_with: z.string().optional().describe('Only groups whose names begin so'),
      time_zone: z.string().optional().describe('Of days and months, such as Europe/Berlin; default: UTC'),
      limit: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT).describe('The most groups'),
      provider: z.string().optional(),
    }),
    output: z.object({ providers: z.array(providerStats).optional(), ...totals }),
    async run({ by, since: start, until: end, starts_with, time_zone, limit, provider, ...filters }, signal) {
      const filter = { ...filters, dateRange: { start, end } };
      if (by === undefined && !isFiltered(filter)) {
        return { value: { providers: await client.stats(provider, { signal }) } };
      }
      const grouping = { by, startsWith: starts_with, timeZone: time_zone, limit };
      const counted = await client.totals({ ...filter, ...grouping, provider, signal });
      if (counted === undefined) {
        throw new ToolError('This daemon is older: it counts only whole providers. Give at most provider.');
      }
      if (counted.count > 0) return { value: counted };
      const hints = await findHints(client, { ...filters, provider, signal });
      return { value: { ...counted, hints: hints.length === 0 ? undefined : hints.map(hintLine) } };
    },
  });
}
