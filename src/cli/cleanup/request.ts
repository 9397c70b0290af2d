/** The flags of `cleanup` that say which images go, and what is asked of the daemon by them. */
import { type Command, Option } from 'commander';
import { cleanupOf } from '../../client/cleanup-of.ts';
import type { CleanupOptions, ImageFilter } from '../../client.ts';
import { parseCutoff, parseInstant, parseRangeEnd } from '../shared/dates.ts';
import { collect, parseCount, parseSize } from '../shared/flags.ts';

/** The criteria and filters that every daemon knows. */
interface CriteriaFlags extends Pick<CleanupOptions, 'olderThan' | 'keepCount' | 'keepBytes' | 'model' | 'category'> {}

interface SelectionFlags {
  query?: string;
  tag?: string[];
  since?: Date;
  until?: Date;
  only?: string[];
  except?: string[];
  plan?: Uint8Array;
}

export type RequestFlags = CriteriaFlags & SelectionFlags & Pick<CleanupOptions, 'provider' | 'policy' | 'permanent'>;

const SELECTING: (keyof SelectionFlags)[] = ['query', 'tag', 'since', 'until', 'only', 'except', 'plan'];
/** What a policy says itself. */
const OF_A_POLICY = ['olderThan', 'keepCount', 'keepBytes', 'model', 'category', 'provider', ...SELECTING];

/** Adds the flags. */
export function withRequestFlags(command: Command): Command {
  return command
    .option('--older-than <time>', 'keep what is younger: RFC 3339, a date (UTC) or an age such as 30d', parseCutoff)
    .option('--keep-count <count>', 'keep the newest so many', parseCount)
    .option('--keep-bytes <size>', 'keep the newest that fit into so much, such as 10GiB', parseSize)
    .option('--model <name>', 'only of this model')
    .option('--category <name>', 'only of this category')
    .option(
      '--query <words>',
      'only what this finds, as in list; it goes without a criterion, too, as by the next five',
    )
    .option('--tag <name>', 'repeatable: only with all of them', collect)
    .option('--since <time>', 'only from then on', (text: string) => parseInstant(text))
    .option('--until <time>', 'only before; a date includes that day', (text: string) => parseRangeEnd(text))
    .option('--only <filename>', 'repeatable: only these, up to 1,000', collect)
    .option('--except <filename>', 'repeatable: none of these, up to 1,000; selects nothing by itself', collect)
    .option('--plan <plan>', 'only what a --dry-run --json with the same flags has shown', parsePlan)
    .option('--provider <name>', '* is each of them on its own')
    .addOption(
      new Option(
        '--policy <name>',
        'by a retention policy of the configuration, with its filters and criteria',
      ).conflicts(OF_A_POLICY),
    )
    .option('--permanent', 'for good, past the trash');
}

export function requestOf(flags: RequestFlags, plan: Uint8Array | undefined = flags.plan): CleanupOptions {
  const { olderThan, keepCount, keepBytes, provider, policy, permanent, only, except } = flags;
  if (policy !== undefined) return { policy, permanent };
  const which = { ...filtersOf(flags), olderThan, keepCount, keepBytes, only, except, plan };
  return cleanupOf({ ...which, provider, permanent });
}

export function filtersOf(flags: RequestFlags): ImageFilter {
  const { model, category, query, tag: tags, since: start, until: end } = flags;
  return { model, category, query, tags, dateRange: { start, end } };
}

/** Returns the text that `--plan` takes. */
export function planText(plan: Uint8Array): string {
  return Buffer.from(plan).toString('base64url');
}

function parsePlan(text: string): Uint8Array {
  return Buffer.from(text, 'base64url');
}
