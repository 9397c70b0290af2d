/** `image-storage cleanup`: shows which images would be deleted and why, asks, and deletes no more than was shown. */
import { isDeepStrictEqual } from 'node:util';
import type { Command } from 'commander';
import type { CleanupOptions, CleanupResult, ImageStorageError } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { filtersOf, planText, type RequestFlags, requestOf, withRequestFlags } from './cleanup/request.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { refusalOf } from './shared/errors.ts';
import { parseCount } from './shared/flags.ts';
import { printHintsFor } from './shared/hints.ts';
import { fullNames } from './shared/image-names.ts';
import { SPARED_LATELY } from './shared/policies.ts';
import { ask, canAsk } from './terminal/ask.ts';
import { countOf, displayText, formatBytes, formatTime, printError, printJson } from './terminal/text.ts';

interface CleanupFlags extends AddressFlags, RequestFlags, Pick<CleanupOptions, 'dryRun' | 'maxDeletes'> {
  yes?: boolean;
  json?: boolean;
}

const SHOWN_NAMES = 10;

export function registerCleanup(program: Command): void {
  const command = withRequestFlags(
    program
      .command('cleanup')
      .summary('delete old images, or all that a search finds, after a plan and a question')
      .description(
        'delete old images, or all that a search finds, into the trash where the store has one: an image goes only if ' +
          'none of the criteria given keeps it; pinned ones stay, and so does what came or changed since the plan was shown',
      ),
  )
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

async function cleanup(session: Session, typed: CleanupFlags): Promise<number> {
  const { yes, json, dryRun, permanent } = typed;
  const say = (line: string) => (json ? process.stderr : process.stdout).write(`${line}\n`);
  const flags = await withFullNames(session, typed);
  let plan = await planUpTo(flags.maxDeletes, session, flags);
  for (;;) {
    for (const line of planLines(plan, flags)) say(line);
    if (dryRun || plan.deletedCount === 0) {
      if (json) await printJson(resultJson(plan));
      else if (plan.deletedCount === 0) await printHintsFor(session, { ...filtersOf(flags), provider: flags.provider });
      return EXIT.OK;
    }
    const question = `Delete ${countOf(plan.deletedCount, 'image')}${permanent ? ' for good' : ''}?`;
    const answer = yes ? 'yes' : await ask(question, session.signal);
    if (answer !== 'yes') {
      printError('nothing was deleted');
      return refusalOf(answer);
    }
    const result = await carryOut(plan, session, flags);
    if (!result.dryRun) {
      say(`deleted ${amountOf(result)}${wayBack(result, flags)}${changedBy(result)}`);
      for (const line of reasonLines(result, flags)) say(line);
      if (json) await printJson(resultJson(result));
      return EXIT.OK;
    }
    say('that has changed meanwhile:');
    plan = result;
  }
}

/** Over all providers, names stand for themselves. */
async function withFullNames({ client, signal }: Session, flags: CleanupFlags): Promise<CleanupFlags> {
  const { provider, only, except } = flags;
  if (provider === '*') return flags;
  const full = (names: string[] | undefined) => names && fullNames(client, names, { provider, signal });
  return { ...flags, only: await full(only), except: await full(except) };
}

function planUpTo(
  maxDeletes: number | undefined,
  { client, signal }: Session,
  flags: CleanupFlags,
): Promise<CleanupResult> {
  return client.cleanup({ ...requestOf(flags), maxDeletes, dryRun: true, signal });
}

/** Deletes what was shown, and nothing else. Returns what went, or another plan where that has to be shown first. */
async function carryOut(shown: CleanupResult, session: Session, flags: CleanupFlags): Promise<CleanupResult> {
  const { client, signal } = session;
  if (shown.plan !== undefined) {
    try {
      return await client.cleanup({ ...requestOf(flags, shown.plan), signal });
    } catch (error) {
      if (flags.yes || flags.plan !== undefined || !isExpired(error)) throw error;
      return planUpTo(flags.maxDeletes, session, flags);
    }
  }
  // An older daemon, or a policy, is held to their number. Images saved since may push others out of the kept ones, or be
  // older than the shown ones: the user agreed to neither.
  const now = flags.yes ? shown : await planUpTo(shown.deletedCount, session, flags);
  if (!isSame(shown, now)) return now;
  return client.cleanup({ ...requestOf(flags), maxDeletes: shown.deletedCount, signal });
}

function isExpired(error: unknown): boolean {
  return (error as Partial<ImageStorageError>).reason === 'PLAN_EXPIRED';
}

function resultJson({ plan, ...result }: CleanupResult): object {
  return { ...result, ...(plan && { plan: planText(plan) }) };
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

function sparedBy(result: CleanupResult): string {
  const { keptPinned, keptFuture } = result;
  const pinned = keptPinned > 0 ? `; ${countOf(keptPinned, 'pinned image')} spared` : '';
  const future = keptFuture > 0 ? `; ${countOf(keptFuture, 'image')} dated in the future spared and not counted` : '';
  return pinned + future + changedBy(result);
}

function changedBy({ keptChanged }: CleanupResult): string {
  return keptChanged > 0 ? `; ${countOf(keptChanged, 'image')} that came or changed since spared` : '';
}

function amountOf({ deletedCount, freedBytes, more }: CleanupResult): string {
  return `${countOf(deletedCount, 'image')}, ${formatBytes(freedBytes)}${more ? ' (the limit of this run; more would go)' : ''}`;
}
