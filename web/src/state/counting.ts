/** Counts days to the end where the daemon stops before it: it gives each count a moment, and begins with the newest. */
import type { Counts, Group } from '../api/stats.ts';
import type { Bounds } from './url.ts';

/** Adds to the counts until they are whole. `count` asks for the days within bounds. Rejects as `count` does. */
export async function countToTheEnd(first: Counts, count: (within: Bounds) => Promise<Counts>): Promise<Counts> {
  let counts = first;
  while (counts.isPartial) {
    const older = await count({ end: counts.oldest });
    if (older.groups.length === 0) return { ...counts, isPartial: older.isPartial };
    counts = joined(counts, older);
  }
  return counts;
}

/** A day may have been counted in part. */
function joined(newer: Counts, older: Counts): Counts {
  const [last, first] = [newer.groups.at(-1), older.groups[0]!];
  const groups =
    last?.name === first.name
      ? [...newer.groups.slice(0, -1), sumOf(last, first), ...older.groups.slice(1)]
      : [...newer.groups, ...older.groups];
  const matching = (newer.matching ?? 0) + (older.matching ?? 0);
  return { ...newer, groups, matching, oldest: older.oldest, isPartial: older.isPartial };
}

function sumOf(a: Group, b: Group): Group {
  return { ...a, count: a.count + b.count, bytes: a.bytes + b.bytes };
}
