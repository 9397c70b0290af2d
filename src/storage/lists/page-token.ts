/**
 * Encodes and decodes page tokens: where a list resumes (a keyset cursor), bound to its filters, order and providers.
 */
import { createHash } from 'node:crypto';
import { StorageError } from '../domain/errors.ts';
import type { Instant, ListOptions } from '../domain/requests.ts';

/** The position of the last item that was returned. */
export type PlaceInOrder = [timestamp: number, filename: string, provider: string];

/** Returns a token that resumes after this position in a list of this scope. */
export function encodeToken(last: PlaceInOrder, scope: string): string {
  return Buffer.from(JSON.stringify([scope, ...last])).toString('base64url');
}

/** Throws PAGE_TOKEN_INVALID when the token is malformed, or belongs to another scope. */
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

/**
 * Returns a digest of filters, order and providers. An age is digested as written: it is the same filter on every page.
 */
export function scopeOf(
  { dateRange, model, category, query, tags, pinned, order, place }: ListOptions<Instant> & { place?: 'trash' },
  providers: readonly string[],
): string {
  const filters = [dateRange?.start, dateRange?.end, model, category, query, tags, pinned, order ?? 'newest'];
  const scope = [...filters, providers, ...(place === undefined ? [] : [place])];
  return createHash('sha256').update(JSON.stringify(scope)).digest('base64url').slice(0, 12);
}
