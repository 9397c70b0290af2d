/** `image-storage delete`: deletes images by name, pinned ones too. */
import type { Command } from 'commander';
import type { DeleteResult } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { displayText, printError, printJson, printLine } from './terminal/text.ts';

interface DeleteFlags extends AddressFlags {
  provider?: string;
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
    .description('delete images by filename, pinned ones too')
    .argument('<filenames...>')
    .option('--provider <name>')
    .option('--json', 'print one JSON object a line')
    .action((filenames: string[], flags: DeleteFlags) =>
      withClient(flags, (session) => deleteAll(session, filenames, flags)),
    );
  withAddress(command);
}

async function deleteAll({ client, signal }: Session, filenames: string[], flags: DeleteFlags): Promise<number> {
  const results = await client.delete(filenames, { provider: flags.provider, signal });
  for (const result of results) await printResult(result, flags);
  const failed = results.filter(({ deleted }) => !deleted);
  if (failed.length === 0) return EXIT.OK;
  return failed.every(({ reason }) => reason === NOT_THERE) ? EXIT.NEGATIVE : EXIT.IO;
}

async function printResult(result: DeleteResult, { json }: DeleteFlags): Promise<void> {
  if (json) return printJson(result);
  if (result.deleted) return printLine(`deleted ${displayText(result.filename)}`);
  printError(`${result.filename}: ${IN_WORDS[result.reason] ?? result.reason}`);
}
