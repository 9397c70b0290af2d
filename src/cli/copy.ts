/** `image-storage copy`: copies images from one store to another; another run continues where the last one ended. */
import type { Command } from 'commander';
import type { CopyEvent, CopyOptions, CopySummary } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import type { Session } from './shared/connection.ts';
import { parseInstant } from './shared/dates.ts';
import { refusalOf } from './shared/errors.ts';
import { parseConcurrency } from './shared/flags.ts';
import { type DaemonFlags, withDaemon, withDaemonFlags } from './shared/own-daemon.ts';
import { ask, canAsk } from './terminal/ask.ts';
import { createRunProgress } from './terminal/progress.ts';
import { countOf, formatBytes, printError, printJson, printLine } from './terminal/text.ts';

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
    .option('--permanent', 'with --delete-source: for good, past the trash of the source')
    .option('--bring-back', 'take back what the target has deleted: out of its trash, or under another short id')
    .option('--concurrency <count>', 'images at once (default: 4)', parseConcurrency)
    .option('--yes', 'do not ask')
    .option('--json', 'print one JSON object a line: each failure, then the summary')
    .action((flags: CopyFlags) => {
      if (flags.deleteSource && !flags.dryRun && !flags.yes && !canAsk()) {
        command.error('error: nobody to ask: say --yes with --delete-source', { exitCode: EXIT.USAGE });
      }
      const chosen = { existing: flags.from, target: flags.to };
      return withDaemon(command, flags, chosen, (session) => copy(session, flags));
    });
  withDaemonFlags(command);
}

/** Returns exit code 1 when an image was not copied. */
async function copy(session: Session, flags: CopyFlags): Promise<number> {
  const { address: _, config: __, yes, json, ...options } = flags;
  if (options.deleteSource && !options.dryRun && !yes) {
    const forGood = options.permanent ? ' for good' : '';
    const question = `Delete from ${options.from}${forGood} what ${options.to} has?`;
    const answer = await ask(question, session.signal);
    if (answer !== 'yes') {
      printError('nothing was copied or deleted');
      return refusalOf(answer);
    }
  }
  return run(session, options, json);
}

/** What one run has reported so far. */
interface Told {
  /** The last progress, in words; unset before the first. */
  reached?: string;
  failed: number;
  deletedBefore: number;
}

async function run({ client, signal, report }: Session, options: CopyOptions, json = false): Promise<number> {
  const told: Told = { failed: 0, deletedBefore: 0 };
  const progress = createRunProgress('image');
  let exitCode: number | undefined;
  try {
    for await (const event of client.copy({ ...options, signal })) {
      if (event.kind !== 'progress') {
        progress.clear();
        await tell(event, told, options, json);
        continue;
      }
      const { images, totalImages, ...bytes } = event.progress;
      progress.set({ items: images, totalItems: totalImages, ...bytes });
      told.reached = ` after ${images.toLocaleString('en')} of ${countOf(totalImages, 'image')}`;
    }
  } catch (error) {
    progress.clear();
    if (told.reached === undefined) throw error;
    exitCode = report(error, `stopped${told.reached}`);
    printError('run it again for the rest');
  }
  if (told.deletedBefore > 0) {
    const images = countOf(told.deletedBefore, 'image');
    printError(`${images} deleted from ${options.to} before: --bring-back copies them all the same`);
  }
  return exitCode ?? (told.failed > 0 ? EXIT.NEGATIVE : EXIT.OK);
}

async function tell(
  event: Exclude<CopyEvent, { kind: 'progress' }>,
  told: Told,
  options: CopyOptions,
  json: boolean,
): Promise<void> {
  if (event.kind === 'failed') {
    const { filename, reason, message } = event.failure;
    if (json) await printJson(event.failure);
    else if (reason === 'DELETED_BEFORE') told.deletedBefore += 1;
    else printError(`${filename}: ${message}`);
    return;
  }
  const { kind, summary } = event;
  told.failed = summary.failed;
  // The summary is more exact.
  if (kind === 'stopped') told.reached = '';
  if (json) await printJson({ summary: { ...summary, complete: kind === 'summary' } });
  else await printLine(summaryLine(summary, options));
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
