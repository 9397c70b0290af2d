/** Says hints in words, for commands and assistants. */
import type { Hint } from './types.ts';

const PLURALS: Record<string, string> = { model: 'models', category: 'categories', tag: 'tags' };

/** `models like it: dreamshaper_8` */
export function hintLine({ field, values }: Hint): string {
  return `${PLURALS[field] ?? field} like it: ${values.join(', ')}`;
}
