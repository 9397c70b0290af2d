/** `image-storage restore`: brings images back from the trash. */
import type { Command } from 'commander';
import type { RestoreResult } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { fullNames } from './shared/image-names.ts';
import { displayText, printError, printJson, printLine } from './terminal/text.ts';

interface RestoreFlags extends AddressFlags {
  provider?: string;
  json?: boolean;
}

/** Reasons that are an answer, not a failure. */
const IN_WORDS: Record<string, string> = {
  IMAGE_NOT_FOUND: 'not in the trash',
  NOT_DELETED: 'not in the trash: it is not deleted',
};

export function registerRestore(program: Command): void {
  const command = program
    .command('restore')
    .description('bring images back from the trash, as they were')
    .argument('<filenames...>', 'as `trash` lists them; a short id or the beginning of one is enough')
    .option('--provider <name>')
    .option('--json', 'print one JSON object a line')
    .action((filenames: string[], flags: RestoreFlags) =>
      withClient(flags, (session) => restoreAll(session, filenames, flags)),
    );
  withAddress(command);
}

async function restoreAll({ client, signal }: Session, typed: string[], flags: RestoreFlags): Promise<number> {
  const { provider } = flags;
  const filenames = await fullNames(client, typed, { provider, signal, in: 'trash' });
  const results = await client.restore(filenames, { provider, signal });
  for (const result of results) await printResult(result, flags);
  const failed = results.filter(({ restored }) => !restored);
  if (failed.length === 0) return EXIT.OK;
  return failed.every(({ reason }) => reason in IN_WORDS) ? EXIT.NEGATIVE : EXIT.IO;
}

async function printResult(result: RestoreResult, { json }: RestoreFlags): Promise<void> {
  if (json) return printJson(result);
  const { filename, restored, reason } = result;
  if (restored) return printLine(`restored ${displayText(filename)}`);
  printError(`${filename}: ${IN_WORDS[reason] ?? reason}`);
}
