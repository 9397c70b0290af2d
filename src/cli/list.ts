/** `image-storage list`: finds images, as a table for people or one JSON object per line for programs. */
import { type Command, Option } from 'commander';
import type { Hint, Image, ListOptions } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { type FilterFlags, filtersOf, withFilters } from './shared/filters.ts';
import { parseCount } from './shared/flags.ts';
import { printHints } from './shared/hints.ts';
import { imageJson } from './shared/image-json.ts';
import { type Column, tableFormatter, terminalWidth } from './terminal/table.ts';
import { formatBytes, formatTime, printError, printJson, printLine } from './terminal/text.ts';

interface ListFlags extends AddressFlags, FilterFlags, Pick<ListOptions, 'order' | 'limit'> {
  json?: boolean;
}

const DEFAULT_TABLE_LIMIT = 50;
/** Rows that are aligned together; columns of a longer list may still grow. */
const BLOCK_ROWS = 100;

/** Other queries are words, which every daemon knows. */
const GRAMMAR = /"|(^|\s)-\S|\sOR\s|\b[a-z0-9]+:\S/i;

const COLUMNS: Column[] = [
  { title: 'TIME (UTC)' },
  { title: 'SIZE', align: 'right' },
  { title: 'PIXELS', align: 'right' },
  { title: 'MODEL', maxWidth: 24 },
  { title: 'FILENAME' },
  { title: 'PROMPT', fill: true },
];

export function registerList(program: Command): void {
  const command = withFilters(program.command('list').description('list images, newest first'))
    .addOption(new Option('--order <order>').choices(['newest', 'oldest']))
    .option('--limit <count>', `0 is all (default: ${DEFAULT_TABLE_LIMIT}, with --json all)`, parseCount)
    .option('--json', 'print one JSON object a line')
    .action((flags: ListFlags) =>
      withClient(flags, async (session) => {
        await warnOfOldWords(session, flags);
        return flags.json ? listJson(session, flags) : listTable(session, flags);
      }),
    );
  withAddress(command);
}

/** A daemon of before the grammar answers with images that the query excludes, and knows it by no error. */
async function warnOfOldWords({ client, signal }: Session, { provider, query = '' }: ListFlags): Promise<void> {
  if (!GRAMMAR.test(query) || (await client.totals({ provider, signal })) !== undefined) return;
  printError('this daemon is older: it takes fields, -, OR and quotes in a query for words of the prompt');
}

async function listJson({ client, signal }: Session, flags: ListFlags): Promise<number> {
  for await (const image of client.list({ ...queryOf(flags), limit: flags.limit, signal }))
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
  let hints: Hint[] = [];
  const onHints = (found: Hint[]) => {
    hints = found;
  };
  // One more than is shown, to know whether there are more.
  for await (const image of client.list({ ...queryOf(flags), limit: limit && limit + 1, onHints, signal })) {
    listed += 1;
    if (limit > 0 && listed > limit) break;
    block.push(image);
    if (block.length < BLOCK_ROWS) continue;
    await print(block);
    block = [];
  }
  if (block.length > 0) await print(block);
  if (listed === 0) process.stderr.write('no images\n');
  printHints(hints);
  if (limit > 0 && listed > limit) process.stderr.write('… more: --limit 0\n');
  return EXIT.OK;
}

function queryOf(flags: ListFlags): ListOptions {
  return { ...filtersOf(flags), order: flags.order };
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
