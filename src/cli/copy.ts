/** `image-storage copy`: copies images from one store to another; run again, it goes on where it ended. */
import type { Command } from 'commander';
import type { CopyOptions, CopySummary } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import type { Session } from './connection.ts';
import { parseInstant } from './dates.ts';
import { parseConcurrency } from './flags.ts';
import { type DaemonFlags, withDaemon, withDaemonFlags } from './own-daemon.ts';
import { createRunProgress } from './run-progress.ts';
import { ask, canAsk, countOf, formatBytes, printError, printJson, printLine } from './terminal.ts';

interface CopyFlags extends DaemonFlags, Omit<CopyOptions, 'signal'> {
  yes?: boolean;
  json?: boolean;
}

export function registerCopy(program: Command): void {
  const command = program
    .command('copy')
    .description('copy images with their records between two providers, verified; what is there already is skipped')
    .requiredOption('--from <name>', 'the provider to read')
    .requiredOption('--to <name>', 'the provider to write')
    .option('--model <name>', 'only of this model')
    .option('--category <name>', 'only of this category')
    .option('--before <time>', 'only older ones: RFC 3339, a date (UTC) or an age such as 30d', (text: string) =>
      parseInstant(text),
    )
    .option('--dry-run', 'only count what would be copied')
    .option('--delete-source', 'delete each image from the source once the copy was read back, after asking')
    .option('--bring-back', 'copy also what the target has deleted, under another short id')
    .option('--concurrency <count>', 'images at once (default: 4)', parseConcurrency)
    .option('--yes', 'do not ask')
    .option('--json', 'print one JSON object a line: each failure, then the summary')
    .action((flags: CopyFlags) => {
      if (flags.deleteSource && !flags.dryRun && !flags.yes && !canAsk()) {
        command.error('error: nobody to ask: say --yes with --delete-source', { exitCode: EXIT.USAGE });
      }
      return withDaemon(flags, (session) => copy(session, flags));
    });
  withDaemonFlags(command);
}

/** Exit 1 when an image was not copied. */
async function copy({ client, signal }: Session, flags: CopyFlags): Promise<number> {
  const { address: _, config: __, yes, json, ...options } = flags;
  if (options.deleteSource && !options.dryRun && !yes) {
    const question = `Delete from ${options.from} what ${options.to} has?`;
    if (!(await ask(question, signal))) {
      printError('nothing was copied or deleted');
      return EXIT.NEGATIVE;
    }
  }
  const progress = createRunProgress('image');
  let failed = 0;
  let deletedBefore = 0;
  try {
    for await (const event of client.copy({ ...options, signal })) {
      if (event.kind === 'progress') {
        const { images, totalImages, ...bytes } = event.progress;
        progress.set({ items: images, totalItems: totalImages, ...bytes });
        continue;
      }
      progress.clear();
      if (event.kind === 'summary') {
        failed = event.summary.failed;
        await (json ? printJson({ summary: event.summary }) : printLine(summaryLine(event.summary, options)));
      } else if (json) await printJson(event.failure);
      else if (event.failure.reason === 'DELETED_BEFORE') deletedBefore += 1;
      else printError(`${event.failure.filename}: ${event.failure.message}`);
    }
  } finally {
    progress.clear();
  }
  if (deletedBefore > 0) {
    printError(
      `${countOf(deletedBefore, 'image')} deleted from ${options.to} before: --bring-back copies them all the same`,
    );
  }
  return failed > 0 ? EXIT.NEGATIVE : EXIT.OK;
}

function summaryLine(
  { copied, copiedBytes, present, failed, deleted, dryRun }: CopySummary,
  { from, to }: CopyOptions,
) {
  const parts = [`${dryRun ? 'would copy' : 'copied'} ${countOf(copied, 'image')}, ${formatBytes(copiedBytes)}`];
  if (present > 0) parts.push(`${present.toLocaleString('en')} in ${to} already`);
  if (deleted > 0) parts.push(`${deleted.toLocaleString('en')} deleted from ${from}`);
  if (failed > 0) parts.push(`${failed.toLocaleString('en')} failed`);
  return parts.join('; ');
}
