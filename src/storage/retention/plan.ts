/**
 * Finds the images that no rule keeps. It reads the images that match from the newest on, which tells in each group where
 * what goes begins, and then from the oldest on: memory grows with the groups and their days, not with the images.
 */
import type { CatalogQuery, ImageIndex, ImageSize } from '../catalog/catalog.ts';
import { throwIfCancelled } from '../domain/errors.ts';
import { utcDay } from '../domain/naming.ts';
import type { Position } from '../domain/requests.ts';
import type { Rules } from './rules.ts';

const SCAN_ROWS = 5_000;
/** Other reads wait for each look. */
const LOOKED_UP_AT_ONCE = 500;
const DAY_MS = 24 * 60 * 60 * 1000;

/** An image that no rule keeps; it may be pinned. */
export interface Unkept extends ImageSize {
  reason: string;
}

/** A group of images while they are read from the newest on. */
interface Group {
  countLeft: number;
  bytesLeft: number;
  daysLeft: number;
  day?: number;
  /** The newest of its days. */
  daily: Set<string>;
  /** The newest image that neither number nor bytes keep, or would keep if it were not pinned. */
  first?: Position;
  reason: string;
}

type Groups = ReadonlyMap<string, Group>;

/** Yields pages of the images that no rule keeps, oldest first, pinned ones included; and how many are new and spared. */
export async function* unkept(
  catalog: ImageIndex,
  rules: Rules,
  signal?: AbortSignal,
): AsyncGenerator<{ images: Unkept[]; keptNew: number }> {
  const groups = await readGroups(catalog, rules, signal);
  const newest = [...groups.values()].reduce(newerOf, undefined as Position | undefined);
  if (newest === undefined) return;
  const end = rules.cutoff ?? rules.now + 1;
  for await (const rows of pages(catalog, rules, { end, order: 'oldest' }, signal)) {
    const images = rows.flatMap((row) => {
      const group = groups.get(groupOf(row, rules));
      const goes = group?.first !== undefined && !isNewer(row, group.first) && !group.daily.has(row.filename);
      return goes ? [{ ...row, reason: group.reason }] : [];
    });
    const kept = await newOf(catalog, images, rules);
    yield { images: images.filter(({ filename }) => !kept.has(filename)), keptNew: kept.size };
    if (isNewer(rows.at(-1)!, newest)) return;
  }
}

/** Returns how many images that match the filters are dated after now. */
export async function countAfter(catalog: ImageIndex, rules: Rules, signal?: AbortSignal): Promise<number> {
  let count = 0;
  for await (const { length } of pages(catalog, rules, { start: rules.now + 1, order: 'oldest' }, signal))
    count += length;
  return count;
}

async function readGroups(catalog: ImageIndex, rules: Rules, signal: AbortSignal | undefined): Promise<Groups> {
  const groups = new Map<string, Group>();
  for await (const rows of pages(catalog, rules, { end: rules.now + 1, order: 'newest' }, signal)) {
    for (const row of rows) {
      const key = groupOf(row, rules);
      const group = groups.get(key) ?? newGroup(key, rules);
      groups.set(key, group);
      take(row, group);
      // Without groups the rest of the images changes nothing.
      if (rules.groupBy === undefined && group.first !== undefined && group.daysLeft === 0) return groups;
    }
  }
  return groups;
}

function newGroup(key: string, { keepLast = 0, keepBytes = 0, keepDaily = 0, groupBy, reason }: Rules): Group {
  const name = groupBy === 'day' ? utcDay(Number(key) * DAY_MS) : key;
  return { countLeft: keepLast, bytesLeft: keepBytes, daysLeft: keepDaily, daily: new Set(), reason: reason(name) };
}

/** Counts the next newest image of a group. */
function take(row: ImageSize, group: Group): void {
  if (row.pinned) {
    if (group.countLeft <= 0 && group.bytesLeft <= 0) group.first ??= row;
    return;
  }
  const day = Math.floor(row.timestamp / DAY_MS);
  if (group.daysLeft > 0 && day !== group.day) {
    group.day = day;
    group.daysLeft -= 1;
    group.daily.add(row.filename);
  }
  // The first image that does not fit ends the protection by bytes, also for smaller ones after it.
  group.bytesLeft = row.size <= group.bytesLeft ? group.bytesLeft - row.size : -1;
  group.countLeft -= 1;
  if (group.countLeft < 0 && group.bytesLeft < 0) group.first ??= row;
}

/** Returns those of the images that came too lately. */
async function newOf(catalog: ImageIndex, images: readonly Unkept[], { newSince }: Rules): Promise<Set<string>> {
  const found = new Set<string>();
  if (newSince === undefined) return found;
  for (let start = 0; start < images.length; start += LOOKED_UP_AT_ONCE) {
    const names = images.slice(start, start + LOOKED_UP_AT_ONCE).map(({ filename }) => filename);
    for (const filename of await catalog.arrivedSince(names, newSince)) found.add(filename);
  }
  return found;
}

async function* pages(
  catalog: ImageIndex,
  { filter, groupBy }: Rules,
  part: Pick<CatalogQuery, 'start' | 'end' | 'order'>,
  signal: AbortSignal | undefined,
): AsyncGenerator<ImageSize[]> {
  const group = groupBy === 'day' ? undefined : groupBy;
  let after: ImageSize | undefined;
  for (;;) {
    throwIfCancelled(signal);
    const request = { ...(after && { after }), ...(group && { group }), limit: SCAN_ROWS };
    const rows = await catalog.pageSizes({ ...filter, ...part }, request);
    if (rows.length > 0) yield rows;
    if (rows.length < SCAN_ROWS) return;
    after = rows.at(-1);
  }
}

/** Returns the key of the group; of a day its number, since its name takes long to make. */
function groupOf({ group = '', timestamp }: ImageSize, { groupBy }: Rules): string {
  return groupBy === 'day' ? String(Math.floor(timestamp / DAY_MS)) : group;
}

function newerOf(newest: Position | undefined, { first }: Group): Position | undefined {
  if (first === undefined || newest === undefined) return first ?? newest;
  return isNewer(first, newest) ? first : newest;
}

function isNewer(a: Position, b: Position): boolean {
  return a.timestamp > b.timestamp || (a.timestamp === b.timestamp && a.filename > b.filename);
}
