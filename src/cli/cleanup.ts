/** `image-storage cleanup`: shows which images would be deleted and why, asks, and deletes no more than was shown. */
import { isDeepStrictEqual } from 'node:util';
import { type Command, Option } from 'commander';
import type { CleanupOptions, CleanupResult } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { parseCutoff } from './shared/dates.ts';
import { parseCount, parseSize } from './shared/flags.ts';
import { printHintsFor } from './shared/hints.ts';
import { SPARED_LATELY } from './shared/policies.ts';
import { ask, canAsk } from './terminal/ask.ts';
import { countOf, displayText, formatBytes, formatTime, printError, printJson } from './terminal/text.ts';

interface CleanupFlags extends AddressFlags, Omit<CleanupOptions, 'signal'> {
  yes?: boolean;
  json?: boolean;
}

const SHOWN_NAMES = 10;
/** What a policy says itself. */
const OF_A_POLICY = ['olderThan', 'keepCount', 'keepBytes', 'model', 'category', 'provider'];

export function registerCleanup(program: Command): void {
  const command = program
    .command('cleanup')
    .description(
      'delete old images, into the trash where the store has one; each criterion that is given protects, pinned images ' +
        'are always spared',
    )
    .option(
      '--older-than <time>',
      'protect what is not older: RFC 3339, a date (UTC) or an age such as 30d',
      parseCutoff,
    )
    .option('--keep-count <count>', 'protect the newest so many', parseCount)
    .option('--keep-bytes <size>', 'protect the newest that fit into so much, such as 10GiB', parseSize)
    .option('--model <name>', 'only of this model')
    .option('--category <name>', 'only of this category')
    .option('--provider <name>', '* is each of them on its own')
    .addOption(
      new Option(
        '--policy <name>',
        'by a retention policy of the configuration, with its filters and criteria',
      ).conflicts(OF_A_POLICY),
    )
    .option('--permanent', 'for good, past the trash')
    .option('--max-deletes <count>', 'stop after so many', parseCount)
    .option('--dry-run', 'only show what would go')
    .option('--yes', 'do not ask')
    .option('--json', 'print the result as a JSON object')
    .action((flags: CleanupFlags) => {
      if (!flags.dryRun && !flags.yes && !canAsk()) {
        command.error('error: nobody to ask: say --yes, or --dry-run', { exitCode: EXIT.USAGE });
      }
      return withClient(flags, (session) => cleanup(session, flags));
    });
  withAddress(command);
}

async function cleanup(session: Session, flags: CleanupFlags): Promise<number> {
  const { client, signal } = session;
  const { address: _, yes, json, dryRun, ...criteria } = flags;
  const say = (line: string) => (json ? process.stderr : process.stdout).write(`${line}\n`);
  const planUpTo = (maxDeletes?: number) => client.cleanup({ ...criteria, maxDeletes, dryRun: true, signal });
  let plan = await planUpTo(flags.maxDeletes);
  for (;;) {
    for (const line of planLines(plan, flags)) say(line);
    if (dryRun || plan.deletedCount === 0) {
      if (json) await printJson(plan);
      else if (plan.deletedCount === 0) await printHintsFor(session, criteria);
      return EXIT.OK;
    }
    if (yes) break;
    const question = `Delete ${countOf(plan.deletedCount, 'image')}${flags.permanent ? ' for good' : ''}?`;
    if (!(await ask(question, signal))) {
      printError('nothing was deleted');
      return EXIT.NEGATIVE;
    }
    // Images saved since may push others out of the kept ones, or be older than the shown ones: the user agreed to
    // neither.
    const now = await planUpTo(plan.deletedCount);
    if (isSame(plan, now)) break;
    say('that has changed meanwhile:');
    plan = now;
  }
  const result = await client.cleanup({ ...criteria, maxDeletes: plan.deletedCount, signal });
  say(`deleted ${amountOf(result)}${wayBack(result, flags)}`);
  for (const line of reasonLines(result, flags)) say(line);
  if (json) await printJson(result);
  return EXIT.OK;
}

function isSame(one: CleanupResult, other: CleanupResult): boolean {
  const parts = ({ deletedCount, freedBytes, filenames, restorableUntil }: CleanupResult) => [
    deletedCount,
    freedBytes,
    filenames,
    restorableUntil !== undefined,
  ];
  return isDeepStrictEqual(parts(one), parts(other));
}

function planLines(plan: CleanupResult, flags: CleanupFlags): string[] {
  const spared = sparedBy(plan);
  const lately = flags.policy === undefined ? '' : SPARED_LATELY;
  if (plan.deletedCount === 0) return [`nothing would go${lately}${spared}`];
  const names = plan.filenames.slice(0, SHOWN_NAMES).map((name) => `  ${displayText(name)}`);
  const others = plan.deletedCount - names.length;
  if (others > 0) names.push(`  … and ${others.toLocaleString('en')} more`);
  const reasons = reasonLines(plan, flags);
  const heads = [`would delete ${amountOf(plan)}${wayBack(plan, flags)}${spared}:`, ...reasons];
  return [...heads, ...(reasons.length > 0 ? [`the oldest of them:`] : []), ...names];
}

/** Says why images go: of criteria that were given only where they differ among the images. */
function reasonLines({ reasons }: CleanupResult, { policy }: CleanupFlags): string[] {
  if (policy === undefined && reasons.length < 2) return [];
  const amount = (count: number, bytes: number) => `${countOf(count, 'image')}, ${formatBytes(bytes)}`;
  return reasons.map(({ text, count, bytes }) => `  ${displayText(text)}: ${amount(count, bytes)}`);
}

/** An older daemon deletes for good, but does not say so: nothing is promised then. */
function wayBack({ restorableUntil }: CleanupResult, { permanent }: CleanupFlags): string {
  if (permanent) return ', for good';
  return restorableUntil === undefined ? '' : `, in the trash until ${formatTime(restorableUntil)} UTC`;
}

function sparedBy({ keptPinned, keptFuture }: CleanupResult): string {
  const pinned = keptPinned > 0 ? `; ${countOf(keptPinned, 'pinned image')} spared` : '';
  const future = keptFuture > 0 ? `; ${countOf(keptFuture, 'image')} dated in the future spared and not counted` : '';
  return pinned + future;
}

function amountOf({ deletedCount, freedBytes, more }: CleanupResult): string {
  return `${countOf(deletedCount, 'image')}, ${formatBytes(freedBytes)}${more ? ' (the limit of this run; more would go)' : ''}`;
}
