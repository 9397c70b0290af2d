/** Checks the filters that lists and totals have in common. */
import type { ImageFilter, Instant } from '../domain/requests.ts';
import { checkGroup, checkTags, checkText } from '../domain/validation.ts';

const MAX_QUERY_BYTES = 4096;

/** Checks all but the dates. Throws FIELD_INVALID, which names the field. */
export function checkFilter(filter: Omit<ImageFilter<Instant>, 'dateRange'>): void {
  checkGroup(filter);
  checkText('query', filter.query ?? '', MAX_QUERY_BYTES);
  checkTags('tags', filter.tags ?? []);
}
