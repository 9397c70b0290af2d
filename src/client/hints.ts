/** Asks for hints, and says them in words, for commands and assistants. */
import type { ImageStorageClient } from '../client.ts';
import type { CallOptions, Hint, ImageFilter, ProviderChoice } from './types.ts';

const PLURALS: Record<string, string> = { model: 'models', category: 'categories', tag: 'tags' };

/** `models like it: dreamshaper_8` */
export function hintLine({ field, values }: Hint): string {
  return `${PLURALS[field] ?? field} like it: ${values.join(', ')}`;
}

/** Returns the hints for filters by which nothing was found. An older daemon gives none. */
export async function findHints(
  client: Pick<ImageStorageClient, 'list'>,
  { provider, model, category, tags, query, signal }: ImageFilter & ProviderChoice & CallOptions,
): Promise<Hint[]> {
  let hints: Hint[] = [];
  if (!model && !category && !tags?.length && !query) return hints;
  const onHints = (found: Hint[]) => {
    hints = found;
  };
  for await (const _ of client.list({
    provider,
    model,
    category,
    tags,
    query,
    view: 'row',
    limit: 1,
    onHints,
    signal,
  }));
  return hints;
}
