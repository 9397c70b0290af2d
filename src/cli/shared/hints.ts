/** Says what there is in place of a model, category or tag that no image has. */
import { hintLine } from '../../client/hints.ts';
import type { Hint, ImageFilter, ProviderChoice } from '../../client.ts';
import { displayText } from '../terminal/text.ts';
import type { Session } from './connection.ts';

/** Prints a line for each hint on stderr: `models like it: dreamshaper_8`. */
export function printHints(hints: readonly Hint[]): void {
  for (const hint of hints) process.stderr.write(`${displayText(hintLine(hint))}\n`);
}

/** Asks for hints, for a command that found nothing by these filters, and prints them. An older daemon gives none. */
export async function findHints({ client, signal }: Session, filters: ImageFilter & ProviderChoice): Promise<void> {
  const { provider, model, category, tags } = filters;
  if (!model && !category && !tags?.length) return;
  const asked = { provider, model, category, tags, limit: 1, onHints: printHints, signal };
  for await (const _ of client.list(asked));
}
