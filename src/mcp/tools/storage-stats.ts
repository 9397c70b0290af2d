/** The tool `storage_stats`: counts images and bytes. */
import { z } from 'zod';
import { GROUPS } from '../../client/stats-types.ts';
import type { GroupStats, ImageStorageClient, ProviderStats, Totals } from '../../client.ts';
import { ToolError } from '../errors.ts';
import { filterFieldsAgain, insteadOf, isFiltered } from '../filters.ts';
import type { DateReader } from '../instant.ts';
import { charsOf, cut } from '../length.ts';
import { type AddTool, READS } from '../tool.ts';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 1000;
const MAX_CHARS = 2_300;
/** Numbers of models and categories, the most that fit. */
const SHOWN = [10, 7, 5, 3, 1];
const MORE_DAYS = 4;
const MAX_NAME_CHARS = 60;

/** The name, images and bytes; null is the rest. */
type Group = [name: string | null, count: number, bytes: number];

export function addStorageStats(addTool: AddTool, client: ImageStorageClient, dates: DateReader): void {
  addTool({
    name: 'storage_stats',
    title: 'Count images',
    description:
      'Counts stored images and their bytes: of whole providers, by model, category and day; or, with by or a filter, ' +
      'of the images that match. Groups are [name, images, bytes]; "" is those without one, null all others.',
    annotations: READS,
    input: z.strictObject({
      by: z.enum(GROUPS).optional().describe('Groups the images that match'),
      ...filterFieldsAgain(dates),
      starts_with: z.string().optional().describe('Only groups whose names begin so'),
      time_zone: z.string().optional().describe('Of days and months, such as Europe/Berlin; default: UTC'),
      limit: z.int().min(1).max(MAX_LIMIT).optional().describe(`The most groups; default: ${DEFAULT_LIMIT}`),
      provider: z.string().optional(),
    }),
    async run({ by, since: start, until: end, starts_with, time_zone, limit, provider, ...filters }, signal) {
      const filter = { ...filters, dateRange: { start, end } };
      if (by === undefined && !isFiltered(filter)) {
        return { value: fittingStats(await client.stats(provider, { signal })) };
      }
      const grouping = { by, startsWith: starts_with, timeZone: time_zone, limit: limit ?? DEFAULT_LIMIT };
      const counted = await client.totals({ ...filter, ...grouping, provider, signal });
      if (counted === undefined) {
        throw new ToolError('This daemon is older: it counts only whole providers. Give at most provider.');
      }
      if (counted.count > 0) return { value: totalsOf(counted, limit) };
      return { value: { total: 0, ...(await insteadOf(client, { ...filter, provider, signal })) } };
    },
  });
}

function fittingStats(providers: ProviderStats[]): object {
  for (const most of SHOWN) {
    const stats = { providers: providers.map((provider) => providerOf(provider, most)) };
    if (charsOf(stats) <= MAX_CHARS) return stats;
  }
  return { providers: providers.map((provider) => providerOf(provider, 0)) };
}

function providerOf({ byModel, byCategory, byDate, policies: _, ...stats }: ProviderStats, most: number): object {
  const hasTrash = stats.trashCount > 0;
  return {
    ...stats,
    pinnedCount: stats.pinnedCount || undefined,
    trashCount: hasTrash ? stats.trashCount : undefined,
    trashBytes: hasTrash ? stats.trashBytes : undefined,
    ...(most > 0 && {
      byModel: groupsOf(byModel, most),
      // One group of all is said before.
      byCategory: byCategory.length > 1 || byCategory[0]?.name ? groupsOf(byCategory, most) : undefined,
      byDate: groupsOf(byDate, most + MORE_DAYS),
    }),
  };
}

/** As many groups as were asked for, or as fit. */
function totalsOf({ groups, count, more, ...totals }: Totals, limit: number | undefined): object {
  let most = limit ?? DEFAULT_LIMIT;
  const answer = () => ({
    ...(more ? { totalAtLeast: count } : { total: count }),
    ...totals,
    groups: groupsOf(groups, most),
  });
  while (limit === undefined && most > 1 && charsOf(answer()) > MAX_CHARS) most -= 1;
  return answer();
}

function groupsOf(groups: readonly GroupStats[], most: number): Group[] {
  const named = groups.filter(({ rest }) => !rest);
  const shown = named.slice(0, most);
  const others = [...named.slice(most), ...groups.filter(({ rest }) => rest)];
  const sum = (of: 'count' | 'bytes') => others.reduce((all, group) => all + group[of], 0);
  const rest: Group[] = others.length > 0 ? [[null, sum('count'), sum('bytes')]] : [];
  return [...shown.map(({ name, count, bytes }): Group => [cut(name, MAX_NAME_CHARS), count, bytes]), ...rest];
}
