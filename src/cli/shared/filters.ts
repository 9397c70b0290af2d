/** The flags that select images, for the commands that list and count them. */
import { type Command, Option } from 'commander';
import type { ImageFilter, ProviderChoice } from '../../client.ts';
import { parseInstant, parseRangeEnd } from './dates.ts';
import { collect } from './flags.ts';

export interface FilterFlags extends Pick<ImageFilter, 'model' | 'category' | 'query' | 'pinned'>, ProviderChoice {
  tag?: string[];
  notPinned?: boolean;
  since?: Date;
  until?: Date;
}

/** Adds the flags. */
export function withFilters(command: Command): Command {
  return command
    .option('--provider <name>', '* is all of them')
    .option('--model <name>', 'as it was saved, or its slug')
    .option('--category <name>')
    .option('--tag <name>', 'repeatable: all of them', collect)
    .option('--pinned', 'only pinned images')
    .addOption(new Option('--not-pinned', 'only those that are not').conflicts('pinned'))
    .option('--since <time>', 'RFC 3339, a date (UTC) or an age such as 30d, 12h', (text: string) => parseInstant(text))
    .option('--until <time>', 'likewise; a date includes that day', (text: string) => parseRangeEnd(text))
    .option('--query <words>', 'words of the prompt, or their beginnings');
}

export function filtersOf(flags: FilterFlags): ImageFilter & ProviderChoice {
  const { provider, model, category, tag: tags, query, since: start, until: end } = flags;
  const pinned = flags.notPinned ? false : flags.pinned;
  return { provider, model, category, tags, pinned, query, dateRange: { start, end } };
}

/** Returns whether any flag leaves out images of the provider. */
export function isFiltered({ provider: _, ...flags }: FilterFlags): boolean {
  const { model, category, tag, query, pinned, notPinned, since, until } = flags;
  return [model, category, tag, query, pinned, notPinned, since, until].some((flag) => flag !== undefined);
}
