/** Asks for a cleanup in the form that most daemons know, for commands and assistants. */
import type { CleanupOptions, Selection } from './types.ts';

type Others = Pick<CleanupOptions, 'provider' | 'permanent'>;

/**
 * Returns criteria, which every daemon knows, or a selection, where a filter or the plan needs one: an older daemon refuses
 * that.
 */
export function cleanupOf({ provider, permanent, ...which }: Selection & Others): CleanupOptions {
  const { query, tags, dateRange, pinned, only, except, plan, ...criteria } = which;
  const selecting = [query, tags, dateRange?.start, dateRange?.end, pinned, only, except, plan];
  if (selecting.every((value) => value === undefined)) return { ...criteria, provider, permanent };
  return { provider, permanent, selection: which };
}
