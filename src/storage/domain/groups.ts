/** Ranks the groups that images are counted in, and sums up those beyond a limit. */
import type { GroupBy, GroupStatistics } from './requests.ts';

export const MAX_GROUPS = 10_000;
/** Of the names of all groups of an answer: with their numbers they stay far below 4 MiB. */
const MAX_NAME_BYTES = 1024 * 1024;

/** Returns the groups in their order, at most `limit` and what an answer has room for, then the rest. */
export function rankGroups(
  groups: readonly GroupStatistics[],
  by: GroupBy | undefined,
  limit: number,
): GroupStatistics[] {
  const rest: GroupStatistics = { name: '', count: 0, bytes: 0, rest: true };
  const listed: GroupStatistics[] = [];
  let nameBytes = 0;
  for (const group of groups.toSorted(by === 'day' || by === 'month' ? newestFirst : mostFirst)) {
    if (!group.rest) nameBytes += Buffer.byteLength(group.name);
    if (!group.rest && listed.length < limit && nameBytes <= MAX_NAME_BYTES) listed.push(group);
    else addTo(rest, group);
  }
  return rest.count > 0 ? [...listed, rest] : listed;
}

/** Of images. */
export interface Sum {
  count: number;
  bytes: number;
}

export function addTo(sum: Sum, { count, bytes }: Sum): void {
  sum.count += count;
  sum.bytes += bytes;
}

function newestFirst(a: GroupStatistics, b: GroupStatistics): number {
  return byName(b, a);
}

function mostFirst(a: GroupStatistics, b: GroupStatistics): number {
  return b.count - a.count || byName(a, b);
}

function byName(a: GroupStatistics, b: GroupStatistics): number {
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
