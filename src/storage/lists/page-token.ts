/** Page tokens: the place where a list resumes, bound to its filters, order and providers. */
import { createHash } from 'node:crypto';
import { StorageError } from '../domain/errors.ts';
import type { Instant, ListOptions } from '../domain/requests.ts';

/** Of the last item that was given. */
export type PlaceInOrder = [timestamp: number, filename: string, provider: string];

/** A token that resumes behind this place in a list of this scope. */
export function encodeToken(last: PlaceInOrder, scope: string): string {
  return Buffer.from(JSON.stringify([scope, ...last])).toString('base64url');
}

/** PAGE_TOKEN_INVALID when no list gave it, or one of another scope. */
export function decodeToken(text: string, scope: string): PlaceInOrder {
  let token: unknown;
  try {
    token = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    token = undefined;
  }
  const [tokenScope, timestamp, filename, provider] = Array.isArray(token) ? token : [];
  if (!Number.isSafeInteger(timestamp) || typeof filename !== 'string' || typeof provider !== 'string') {
    throw new StorageError('PAGE_TOKEN_INVALID', 'page_token: is none that a list gave', { field: 'page_token' });
  }
  if (tokenScope !== scope) {
    const message = 'page_token: belongs to other filters, another order or other providers';
    throw new StorageError('PAGE_TOKEN_INVALID', message, { field: 'page_token' });
  }
  return [timestamp, filename, provider];
}

/** Stands for what a list is over. An age counts as it is written: it is the same filter when the next page is read. */
export function scopeOf(
  { dateRange, model, category, query, tags, pinned, order }: ListOptions<Instant>,
  providers: readonly string[],
): string {
  const filters = [dateRange?.start, dateRange?.end, model, category, query, tags, pinned, order ?? 'newest'];
  const scope = [...filters, providers];
  return createHash('sha256').update(JSON.stringify(scope)).digest('base64url').slice(0, 12);
}
