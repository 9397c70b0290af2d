/** `image-storage trash`: lists the images in the trash, and deletes them for good after asking. */
import type { Command } from 'commander';
import type { ImageStorageClient, TrashedImage, TrashOptions } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { refusalOf } from './shared/errors.ts';
import { parseCount } from './shared/flags.ts';
import { imageJson } from './shared/image-json.ts';
import { fullNames } from './shared/image-names.ts';
import { DEFAULT_TABLE_LIMIT, IMAGE_COLUMNS, type ImageColumn, limitBeyond, printTable } from './shared/image-table.ts';
import { ask, canAsk } from './terminal/ask.ts';
import { countOf, formatBytes, formatTime, printError, printJson } from './terminal/text.ts';

interface TrashFlags extends AddressFlags, Pick<TrashOptions, 'provider' | 'query' | 'limit'> {
  json?: boolean;
}

interface PurgeFlags extends AddressFlags {
  all?: boolean;
  yes?: boolean;
  provider?: string;
  json?: boolean;
}

const COLUMNS: readonly ImageColumn<TrashedImage>[] = [
  { title: 'DELETED (UTC)', fromWidth: 100, cell: ({ deleteTime }) => formatTime(deleteTime) },
  { title: 'KEPT UNTIL (UTC)', cell: ({ purgeTime }) => formatTime(purgeTime) },
  ...IMAGE_COLUMNS.filter(({ title }) => title !== 'PIXELS'),
  { title: 'PROMPT', fill: true, cell: ({ metadata }) => metadata.prompt },
];

export function registerTrash(program: Command): void {
  const trash = program
    .command('trash')
    .description('list the images in the trash, the last deleted first; `restore` brings them back')
    // The flags of purge are not those of the list.
    .enablePositionalOptions()
    .option('--query <words>', 'as that of list')
    .option('--limit <count>', `0 is all (default: ${DEFAULT_TABLE_LIMIT}, with --json all)`, parseCount)
    .option('--provider <name>', '* is all of them')
    .option('--json', 'print one JSON object a line')
    .action((flags: TrashFlags) =>
      withClient(flags, (session) => (flags.json ? listJson(session, flags) : listTable(session, flags))),
    );
  withAddress(trash);
  registerPurge(trash);
}

function registerPurge(trash: Command): void {
  const command = trash
    .command('purge')
    .description('delete images of the trash for good')
    .argument('[filenames...]')
    .option('--all', 'all that are in it')
    .option('--yes', 'do not ask')
    .option('--provider <name>')
    .option('--json', 'print the result as a JSON object')
    .action((filenames: string[]) => {
      // Flags before `purge` are those of the list, the daemon's address among them.
      const flags = command.optsWithGlobals<PurgeFlags>();
      const refuse = (message: string) => command.error(`error: ${message}`, { exitCode: EXIT.USAGE });
      if (filenames.length > 0 === (flags.all === true)) refuse('name images of the trash, or say --all');
      if (!flags.yes && !canAsk()) refuse('nobody to ask: say --yes');
      return withClient(flags, (session) => purge(session, filenames, flags));
    });
  withAddress(command);
}

async function listJson({ client, signal }: Session, { provider, query, limit }: TrashFlags): Promise<number> {
  for await (const image of client.listTrash({ provider, query, limit, signal })) await printJson(imageJson(image));
  return EXIT.OK;
}

async function listTable({ client, signal }: Session, flags: TrashFlags): Promise<number> {
  const { provider, query, limit = DEFAULT_TABLE_LIMIT } = flags;
  const images = client.listTrash({ provider, query, limit: limitBeyond(limit), signal });
  const listed = await printTable(images, { columns: COLUMNS, limit, overAll: provider === '*' });
  if (listed === 0) process.stderr.write(query === undefined ? 'the trash is empty\n' : 'no images\n');
  if (limit > 0 && listed > limit) process.stderr.write('… more: --limit 0\n');
  return EXIT.OK;
}

async function purge({ client, signal }: Session, typed: string[], flags: PurgeFlags): Promise<number> {
  const { all, yes, provider, json } = flags;
  const named = await fullNames(client, typed, { provider, signal, in: 'trash' });
  const say = (line: string) => (json ? process.stderr : process.stdout).write(`${line}\n`);
  let which: { filenames: string[] } | { all: true } = all ? { all } : { filenames: named };
  if (!yes) {
    // What is deleted while the question waits stays in the trash: the user did not agree to it.
    const { filenames, bytes } = all ? await inTrash(client, { provider, signal }) : { filenames: named };
    which = { filenames };
    const size = bytes === undefined ? '' : `, ${formatBytes(bytes)},`;
    const question = `Delete ${countOf(filenames.length, 'image')}${size} for good?`;
    const answer = filenames.length === 0 ? 'yes' : await ask(question, signal);
    if (answer !== 'yes') {
      printError('nothing was deleted');
      return refusalOf(answer);
    }
  }
  const gone = await client.purge({ ...which, provider, signal });
  say(`deleted ${countOf(gone.count, 'image')}, ${formatBytes(gone.bytes)}, for good`);
  if (json) await printJson(gone);
  const missing = all ? 0 : named.length - gone.count;
  if (missing > 0) printError(`not in the trash: ${missing.toLocaleString('en')} of ${countOf(named.length, 'image')}`);
  return missing > 0 ? EXIT.NEGATIVE : EXIT.OK;
}

async function inTrash(client: ImageStorageClient, options: TrashOptions) {
  const found = { filenames: [] as string[], bytes: 0 };
  for await (const { filename, size } of client.listTrash(options)) {
    found.filenames.push(filename);
    found.bytes += size;
  }
  return found;
}
