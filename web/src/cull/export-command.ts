/** The command that writes into a folder what matches, however many there are. */
import { commandLine } from '../state/session.ts';
import type { Selector } from '../state/url.ts';

export function exportCommand({ provider, query, model, category, tags, pinned, since, until }: Selector): string {
  const flags = [
    ...Object.entries({ provider, model, category, since, until, query }),
    ...tags.map((tag) => ['tag', tag] as const),
    // In one word: a value may begin like a flag.
  ].flatMap(([name, value]) => (value === '' ? [] : [`--${name}=${quoted(value)}`]));
  if (pinned !== undefined) flags.push(pinned ? '--pinned' : '--not-pinned');
  return commandLine(['export', ...flags, 'images'].join(' '));
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return /^[\w.,:@%+=/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
