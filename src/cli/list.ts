/** `image-storage list`: finds images, as a table for people or one JSON object per line for programs. */
import { type Command, Option } from 'commander';
import type { Image, ListOptions } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { parseInstant, parseRangeEnd } from './shared/dates.ts';
import { collect, parseCount } from './shared/flags.ts';
import { imageJson } from './shared/image-json.ts';
import { type Column, tableFormatter, terminalWidth } from './terminal/table.ts';
import { formatBytes, formatTime, printJson, printLine } from './terminal/text.ts';

interface ListFlags
  extends AddressFlags,
    Pick<ListOptions, 'provider' | 'model' | 'category' | 'query' | 'order' | 'limit'> {
  tag?: string[];
  pinned?: boolean;
  notPinned?: boolean;
  since?: Date;
  until?: Date;
  json?: boolean;
}

const DEFAULT_TABLE_LIMIT = 50;
/** Rows that are aligned together; columns of a longer list may still grow. */
const BLOCK_ROWS = 100;

const COLUMNS: Column[] = [
  { title: 'TIME (UTC)' },
  { title: 'SIZE', align: 'right' },
  { title: 'PIXELS', align: 'right' },
  { title: 'MODEL', maxWidth: 24 },
  { title: 'FILENAME' },
  { title: 'PROMPT', fill: true },
];

export function registerList(program: Command): void {
  const command = program
    .command('list')
    .description('list images, newest first')
    .option('--provider <name>', '* is all of them')
    .option('--model <name>', 'as it was saved, or its slug')
    .option('--category <name>')
    .option('--tag <name>', 'repeatable: all of them', collect)
    .option('--pinned', 'only pinned images')
    .addOption(new Option('--not-pinned', 'only those that are not').conflicts('pinned'))
    .option('--since <time>', 'RFC 3339, a date (UTC) or an age such as 30d, 12h', (text: string) => parseInstant(text))
    .option('--until <time>', 'likewise; a date includes that day', (text: string) => parseRangeEnd(text))
    .option('--query <words>', 'words, "a phrase", -not, a OR b, seed:42, steps:>=20 (docs/search.md)')
    .addOption(new Option('--order <order>').choices(['newest', 'oldest']))
    .option('--limit <count>', `0 is all (default: ${DEFAULT_TABLE_LIMIT}, with --json all)`, parseCount)
    .option('--json', 'print one JSON object a line')
    .action((flags: ListFlags) =>
      withClient(flags, (session) => (flags.json ? listJson(session, flags) : listTable(session, flags))),
    );
  withAddress(command);
}

async function listJson({ client, signal }: Session, flags: ListFlags): Promise<number> {
  for await (const image of client.list({ ...filtersOf(flags), limit: flags.limit, signal }))
    await printJson(imageJson(image));
  return EXIT.OK;
}

async function listTable({ client, signal }: Session, flags: ListFlags): Promise<number> {
  const limit = flags.limit ?? DEFAULT_TABLE_LIMIT;
  const overAll = flags.provider === '*';
  const format = tableFormatter(overAll ? [{ title: 'PROVIDER' }, ...COLUMNS] : COLUMNS, terminalWidth());
  const print = async (images: Image[]) => {
    const rows = images.map((image) => (overAll ? [image.provider, ...rowOf(image)] : rowOf(image)));
    for (const line of format(rows)) await printLine(line);
  };
  let block: Image[] = [];
  let listed = 0;
  // One more than is shown, to know whether there are more.
  for await (const image of client.list({ ...filtersOf(flags), limit: limit && limit + 1, signal })) {
    listed += 1;
    if (limit > 0 && listed > limit) break;
    block.push(image);
    if (block.length < BLOCK_ROWS) continue;
    await print(block);
    block = [];
  }
  if (block.length > 0) await print(block);
  if (listed === 0) process.stderr.write('no images\n');
  if (limit > 0 && listed > limit) process.stderr.write('… more: --limit 0\n');
  return EXIT.OK;
}

function filtersOf(flags: ListFlags): ListOptions {
  const { provider, model, category, tag: tags, query, order, since: start, until: end } = flags;
  const pinned = flags.notPinned ? false : flags.pinned;
  return { provider, model, category, tags, pinned, query, order, dateRange: { start, end } };
}

function rowOf({ metadata, size, width, height, filename }: Image): string[] {
  return [
    formatTime(metadata.timestamp),
    formatBytes(size),
    `${width}×${height}`,
    metadata.model,
    filename,
    metadata.prompt,
  ];
}
