/** Checks the filters that lists, totals and selections have in common. */
import type { ImageFilter, Instant } from './requests.ts';
import { checkGroup, checkTags, checkText } from './validation.ts';

const MAX_QUERY_BYTES = 4096;

/** Checks all but the dates. Throws FIELD_INVALID, which names the field, with `within` before its name. */
export function checkFilter(filter: Omit<ImageFilter<Instant>, 'dateRange'>, within = ''): void {
  checkGroup(filter, within);
  checkText(`${within}query`, filter.query ?? '', MAX_QUERY_BYTES);
  checkTags(`${within}tags`, filter.tags ?? []);
}
