/** `image-storage stats`: counts of images and bytes, by what people ask for. */
import { type Command, Option } from 'commander';
import { GROUPS } from '../client/stats-types.ts';
import type { GroupBy, GroupStats, ProviderStats, Totals } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { type FilterFlags, filtersOf, isFiltered, withFilters } from './shared/filters.ts';
import { parseCount } from './shared/flags.ts';
import { printHintsFor } from './shared/hints.ts';
import { policies } from './shared/policies.ts';
import { type Column, tableFormatter, terminalWidth } from './terminal/table.ts';
import { countOf, formatBytes, formatTime, printError, printJson, printLine, wrapText } from './terminal/text.ts';

interface StatsFlags extends AddressFlags, FilterFlags {
  by?: GroupBy;
  startsWith?: string;
  timeZone?: string;
  limit?: number;
  policies?: boolean;
  json?: boolean;
}

/** What a screen has room for; `--by` counts all. */
const SHOWN_GROUPS = 10;
const SHOWN_DAYS = 14;
const SHOWN_MONTHS = 24;
const NAME_WIDTH = 36;
const BAR_WIDTH = 24;

export function registerStats(program: Command): void {
  const about = 'count images and bytes: by model, category and day, or those that match by what you ask for';
  const command = withFilters(program.command('stats').description(about))
    .addOption(new Option('--by <group>', 'count the images of each: all models, all days, …').choices(GROUPS))
    .option('--starts-with <text>', 'only groups whose names begin so')
    .option('--time-zone <name>', 'of days and months, such as Europe/Berlin (default: UTC)')
    .option('--limit <count>', 'the most groups (default: 100)', parseCount)
    .option('--policies', 'retention policies: when they ran, run next, and what would go now')
    .option('--json', 'print one JSON object a line for each provider or policy, or one of all that match')
    .action((flags: StatsFlags) => {
      const refuse = (message: string) => command.error(`error: ${message}`, { exitCode: EXIT.USAGE });
      const ofGroups = [flags.startsWith, flags.timeZone, flags.limit];
      if (flags.by === undefined && ofGroups.some((flag) => flag !== undefined)) {
        refuse('--starts-with, --time-zone and --limit are for the groups of --by');
      }
      const counts = flags.by !== undefined || isFiltered(flags);
      if (flags.policies && counts) refuse('--policies: they have filters of their own');
      return withClient(flags, (session) => {
        if (flags.policies) return policies(session, flags);
        return counts ? totals(session, flags) : stats(session, flags);
      });
    });
  withAddress(command);
}

async function stats({ client, signal }: Session, { provider, json }: StatsFlags): Promise<number> {
  let separator = '';
  for (const counted of await client.stats(provider, { signal })) {
    if (json) {
      await printJson(counted);
      continue;
    }
    // An older daemon counts no months.
    const months = await client.totals({ provider: counted.provider, by: 'month', limit: SHOWN_MONTHS, signal });
    for (const line of statsLines(counted, months?.groups ?? [])) await printLine(separator + line);
    separator = '\n';
  }
  return EXIT.OK;
}

async function totals(session: Session, flags: StatsFlags): Promise<number> {
  const { by, startsWith, timeZone, limit, json } = flags;
  const filters = filtersOf(flags);
  const counted = await session.client.totals({ ...filters, by, startsWith, timeZone, limit, signal: session.signal });
  if (counted === undefined) {
    printError('this daemon is older: it counts only whole providers');
    return EXIT.NEGATIVE;
  }
  if (json) await printJson(counted);
  else {
    for (const line of totalsLines(counted, flags)) await printLine(line);
    if (counted.count === 0) await printHintsFor(session, filters);
  }
  return EXIT.OK;
}

function totalsLines({ groups, more, ...total }: Totals, { by, timeZone = 'UTC' }: StatsFlags): string[] {
  const zone = by === 'day' || by === 'month' ? ` (${timeZone})` : '';
  const limit = more ? 'the newest only, others were not counted: ' : '';
  return [
    ...tableOf(`${by?.toUpperCase()}${zone}`, groups),
    ...wrapText(limit + amounts(total).join(', '), terminalWidth()),
  ];
}

/** Ends in the sum, which is what stays on the screen. */
function statsLines(stats: ProviderStats, months: GroupStats[]): string[] {
  const isOneDay = stats.byDate.length < 2;
  return [
    ...groupTable('MODEL', largest(stats.byModel)),
    ...(isUngrouped(stats.byCategory) ? [] : groupTable('CATEGORY', largest(stats.byCategory))),
    ...groupTable('DAY (UTC)', stats.byDate.filter(isListed).slice(0, SHOWN_DAYS), !isOneDay),
    ...(months.length < 2 ? [] : groupTable('MONTH (UTC)', months)),
    ...wrapText(summary(stats), terminalWidth()),
    ...trashLines(stats),
  ];
}

function isListed({ rest }: GroupStats): boolean {
  return !rest;
}

function isUngrouped(groups: GroupStats[]): boolean {
  return groups.every(({ name, rest }) => name === '' && !rest);
}

/** Returns the first groups, and all others as one. */
function largest(groups: GroupStats[]): GroupStats[] {
  if (groups.length <= SHOWN_GROUPS + 1) return groups;
  const others = groups.slice(SHOWN_GROUPS);
  const sum = (of: 'count' | 'bytes') => others.reduce((total, group) => total + group[of], 0);
  return [...groups.slice(0, SHOWN_GROUPS), { name: '', count: sum('count'), bytes: sum('bytes'), rest: true }];
}

function summary(stats: ProviderStats): string {
  const { provider, storageType, pinnedCount, capacityBytes, freeBytes } = stats;
  const [images, size, ...times] = amounts(stats);
  const parts = [`${provider} (${storageType}): ${images}`, size];
  if (pinnedCount > 0) parts.push(`${pinnedCount.toLocaleString('en')} pinned`);
  parts.push(...times);
  if (capacityBytes !== undefined && freeBytes !== undefined) {
    parts.push(`${formatBytes(freeBytes)} free of ${formatBytes(capacityBytes)}`);
  }
  return parts.join(', ');
}

function trashLines({ trashCount, trashBytes }: ProviderStats): string[] {
  return trashCount === 0 ? [] : [`in the trash: ${countOf(trashCount, 'image')}, ${formatBytes(trashBytes)}`];
}

/** `12 images`, `3.1 MB`, `2024-09-27 14:15:22 to 2024-09-28 09:00:00` */
function amounts({ count, bytes, oldest, newest }: Pick<Totals, 'count' | 'bytes' | 'oldest' | 'newest'>): string[] {
  const times = oldest && newest ? [`${formatTime(oldest)} to ${formatTime(newest)}`] : [];
  return [countOf(count, 'image'), formatBytes(bytes), ...times];
}

function groupTable(title: string, groups: GroupStats[], hasBars = false): string[] {
  return groups.length === 0 ? [] : [...tableOf(title, groups, hasBars), ''];
}

function tableOf(title: string, groups: GroupStats[], hasBars = false): string[] {
  if (groups.length === 0) return [];
  const columns: Column[] = [
    { title, maxWidth: NAME_WIDTH },
    { title: 'IMAGES', align: 'right' },
    { title: 'SIZE', align: 'right' },
  ];
  const format = tableFormatter(hasBars ? [...columns, { title: '', fill: true }] : columns, terminalWidth());
  const most = Math.max(...groups.map(({ count }) => count));
  return format(
    groups.map((group) => {
      const cells = [groupName(group), group.count.toLocaleString('en'), formatBytes(group.bytes)];
      return hasBars ? [...cells, '█'.repeat(Math.max(1, Math.round((group.count / most) * BAR_WIDTH)))] : cells;
    }),
  );
}

function groupName({ name, rest }: GroupStats): string {
  return rest ? '(all others)' : name || '(none)';
}
