/** `image-storage list`: finds images, as a table for people or one JSON object per line for programs. */
import { type Command, Option } from 'commander';
import { rowPrompt } from '../client/row-prompt.ts';
import type { Hint, Image, ListOptions } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { type FilterFlags, filtersOf, withFilters } from './shared/filters.ts';
import { parseCount } from './shared/flags.ts';
import { printHints } from './shared/hints.ts';
import { imageJson } from './shared/image-json.ts';
import { DEFAULT_TABLE_LIMIT, IMAGE_COLUMNS, type ImageColumn, limitBeyond, printTable } from './shared/image-table.ts';
import { formatTime, printError, printJson } from './terminal/text.ts';

interface ListFlags extends AddressFlags, FilterFlags, Pick<ListOptions, 'order' | 'limit'> {
  json?: boolean;
}

/** Other queries are words, which every daemon knows. */
const GRAMMAR = /"|(^|\s)-\S|\sOR\s|\b[a-z0-9]+:\S/i;

const COLUMNS: readonly ImageColumn<Image>[] = [
  { title: 'TIME (UTC)', cell: ({ metadata }) => formatTime(metadata.timestamp) },
  ...IMAGE_COLUMNS,
  { title: 'PROMPT', fill: true, cell: ({ metadata }) => rowPrompt(metadata.prompt) },
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
  let hints: Hint[] = [];
  const onHints = (found: Hint[]) => {
    hints = found;
  };
  const images = client.list({ ...queryOf(flags), view: 'row', limit: limitBeyond(limit), onHints, signal });
  const listed = await printTable(images, { columns: COLUMNS, limit, overAll: flags.provider === '*' });
  if (listed === 0) process.stderr.write('no images\n');
  printHints(hints);
  if (limit > 0 && listed > limit) process.stderr.write('… more: --limit 0\n');
  return EXIT.OK;
}

function queryOf(flags: ListFlags): ListOptions {
  return { ...filtersOf(flags), order: flags.order };
}
