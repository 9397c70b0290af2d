/** `image-storage stats`: counts of images and bytes by model, category and day. */
import type { Command } from 'commander';
import type { GroupStats, ProviderStats } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { tableFormatter, terminalWidth } from './terminal/table.ts';
import { countOf, formatBytes, formatTime, printJson, printLine } from './terminal/text.ts';

interface StatsFlags extends AddressFlags {
  provider?: string;
  json?: boolean;
}

export function registerStats(program: Command): void {
  const command = program
    .command('stats')
    .description('count images and bytes by model, category and day')
    .option('--provider <name>', '* is all of them')
    .option('--json', 'print one JSON object a line for each provider')
    .action((flags: StatsFlags) => withClient(flags, (session) => stats(session, flags)));
  withAddress(command);
}

async function stats({ client, signal }: Session, { provider, json }: StatsFlags): Promise<number> {
  for (const counted of await client.stats(provider, { signal })) {
    if (json) await printJson(counted);
    else for (const line of statsLines(counted)) await printLine(line);
  }
  return EXIT.OK;
}

function statsLines(stats: ProviderStats): string[] {
  return [
    summary(stats),
    ...groupTable('MODEL', stats.byModel),
    ...groupTable('CATEGORY', stats.byCategory),
    ...groupTable('DAY (UTC)', stats.byDate),
  ];
}

function summary({
  provider,
  storageType,
  count,
  bytes,
  pinnedCount,
  oldest,
  newest,
  capacityBytes,
  freeBytes,
}: ProviderStats): string {
  const parts = [`${provider} (${storageType}): ${countOf(count, 'image')}`, formatBytes(bytes)];
  if (pinnedCount > 0) parts.push(`${pinnedCount.toLocaleString('en')} pinned`);
  if (oldest && newest) parts.push(`${formatTime(oldest)} to ${formatTime(newest)}`);
  if (capacityBytes !== undefined && freeBytes !== undefined) {
    parts.push(`${formatBytes(freeBytes)} free of ${formatBytes(capacityBytes)}`);
  }
  return parts.join(', ');
}

function groupTable(title: string, groups: GroupStats[]): string[] {
  if (groups.length === 0) return [];
  const format = tableFormatter(
    [
      { title, maxWidth: 48 },
      { title: 'IMAGES', align: 'right' },
      { title: 'SIZE', align: 'right' },
    ],
    terminalWidth(),
  );
  return [
    '',
    ...format(groups.map((group) => [groupName(group), group.count.toLocaleString('en'), formatBytes(group.bytes)])),
  ];
}

function groupName({ name, rest }: GroupStats): string {
  return rest ? '(all others)' : name || '(none)';
}
