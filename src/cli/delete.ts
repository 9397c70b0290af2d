/** `image-storage delete`: deletes images by name, pinned ones too, and says until when that can be taken back. */
import type { Command } from 'commander';
import type { DeleteResult } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { fullNames, IMAGE_ARGUMENT } from './shared/image-names.ts';
import { displayText, formatTime, printError, printJson, printLine } from './terminal/text.ts';

interface DeleteFlags extends AddressFlags {
  provider?: string;
  permanent?: boolean;
  json?: boolean;
}

const NOT_THERE = 'IMAGE_NOT_FOUND';
const IN_WORDS: Record<string, string> = {
  [NOT_THERE]: 'not there',
  BYTES_REMAIN: 'deleted, but the bucket refuses to remove its bytes (BYTES_REMAIN)',
};

export function registerDelete(program: Command): void {
  const command = program
    .command('delete')
    .description('delete images by filename, pinned ones too: into the trash, where the store has one')
    .argument('<filenames...>', IMAGE_ARGUMENT)
    .option('--permanent', 'for good: past the trash, and out of it')
    .option('--provider <name>')
    .option('--json', 'print one JSON object a line')
    .action((filenames: string[], flags: DeleteFlags) =>
      withClient(flags, (session) => deleteAll(session, filenames, flags)),
    );
  withAddress(command);
}

async function deleteAll({ client, signal }: Session, typed: string[], flags: DeleteFlags): Promise<number> {
  const { provider, permanent } = flags;
  const filenames = await fullNames(client, typed, { provider, signal });
  const results = await client.delete(filenames, { provider, permanent, signal });
  for (const result of results) await printResult(result, flags);
  const failed = results.filter(({ deleted }) => !deleted);
  if (failed.length === 0) return EXIT.OK;
  return failed.every(({ reason }) => reason === NOT_THERE) ? EXIT.NEGATIVE : EXIT.IO;
}

async function printResult(result: DeleteResult, flags: DeleteFlags): Promise<void> {
  if (flags.json) return printJson(result);
  const { filename, deleted, reason } = result;
  if (deleted) return printLine(`deleted ${displayText(filename)}${wayBack(result, flags)}`);
  printError(`${filename}: ${IN_WORDS[reason] ?? reason}`);
}

/** An older daemon deletes for good, but does not say so: nothing is promised then. */
function wayBack({ filename, restorableUntil }: DeleteResult, { provider, permanent }: DeleteFlags): string {
  if (permanent) return ' for good';
  if (restorableUntil === undefined) return '';
  const chosen = provider === undefined ? '' : `--provider ${displayText(provider)} `;
  const until = `in the trash until ${formatTime(restorableUntil)} UTC`;
  return `; ${until}: image-storage restore ${chosen}${displayText(filename)}`;
}
