/** Says what there is in place of a model, category or tag that no image has. */
import type { Hint, ImageFilter, ProviderChoice } from '../../client.ts';
import { displayText } from '../terminal/text.ts';
import type { Session } from './connection.ts';

const PLURALS: Record<string, string> = { model: 'models', category: 'categories', tag: 'tags' };

/** Prints a line for each hint on stderr: `models like it: dreamshaper_8`. */
export function printHints(hints: readonly Hint[]): void {
  for (const { field, values } of hints) {
    process.stderr.write(`${displayText(`${PLURALS[field] ?? field} like it: ${values.join(', ')}`)}\n`);
  }
}

/** Asks for hints, for a command that found nothing by these filters, and prints them. An older daemon gives none. */
export async function findHints({ client, signal }: Session, filters: ImageFilter & ProviderChoice): Promise<void> {
  const { provider, model, category, tags } = filters;
  if (!model && !category && !tags?.length) return;
  const asked = { provider, model, category, tags, limit: 1, onHints: printHints, signal };
  for await (const _ of client.list(asked));
}
