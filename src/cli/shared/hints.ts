/** Says what there is in place of a model, category or tag that no image has. */
import { findHints, hintLine } from '../../client/hints.ts';
import type { Hint, ImageFilter, ProviderChoice } from '../../client.ts';
import { displayText } from '../terminal/text.ts';
import type { Session } from './connection.ts';

/** Prints a line for each hint on stderr: `models like it: dreamshaper_8`. */
export function printHints(hints: readonly Hint[]): void {
  for (const hint of hints) process.stderr.write(`${displayText(hintLine(hint))}\n`);
}

/** Prints the hints for the filters by which a command found nothing. */
export async function printHintsFor({ client, signal }: Session, filters: ImageFilter & ProviderChoice): Promise<void> {
  printHints(await findHints(client, { ...filters, signal }));
}
