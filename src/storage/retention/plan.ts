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

/** Behind every image. */
const NEWEST: Position = { timestamp: Number.MAX_SAFE_INTEGER, filename: '' };

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

/** A page of the images that no rule keeps, pinned ones included. */
interface UnkeptPage {
  images: Unkept[];
  /** How many were spared since they are new. */
  keptNew: number;
  /** How many were spared since they were learnt or changed after the plan. */
  keptChanged: number;
  /** More would go behind the last of the plan. */
  more: boolean;
}

/** Yields the images that no rule keeps, oldest first. */
export async function* unkept(
  catalog: ImageIndex,
  rules: Rules,
  signal?: AbortSignal,
): AsyncGenerator<UnkeptPage, undefined> {
  const groups = await readGroups(catalog, rules, signal);
  const newest = [...groups.values()].reduce(newerOf, undefined as Position | undefined);
  if (newest === undefined) return;
  const end = rules.cutoff ?? endOf(rules);
  for await (const rows of pages(catalog, rules, { end, order: 'oldest' }, signal)) {
    const going = rows.flatMap((row) => {
      const group = groups.get(groupOf(row, rules));
      const goes = group?.first !== undefined && !isNewer(row, group.first) && !group.daily.has(row.filename);
      return goes ? [{ ...row, reason: group.reason }] : [];
    });
    const { images, keptChanged, more } = plannedOf(going, rules);
    const kept = await newOf(catalog, images, rules);
    yield { images: images.filter(({ filename }) => !kept.has(filename)), keptNew: kept.size, keptChanged, more };
    if (more || isNewer(rows.at(-1)!, newest)) return;
  }
}

/** Leaves out what the plan did not see. */
function plannedOf(going: readonly Unkept[], { last }: Rules): Pick<UnkeptPage, 'images' | 'keptChanged' | 'more'> {
  const isLeft = ({ isChanged = false, pinned }: Unkept) => isChanged && !pinned;
  const isBeyond = (image: Unkept) => last !== undefined && !image.pinned && isNewer(image, last);
  const known = going.filter((image) => !isLeft(image));
  const beyond = known.findIndex(isBeyond);
  const images = beyond === -1 ? known : known.slice(0, beyond);
  const end = beyond === -1 ? undefined : known[beyond]!;
  const changed = going.filter((image) => isLeft(image) && (end === undefined || !isNewer(image, end)));
  return { images, keptChanged: changed.length, more: end !== undefined };
}

/** Returns how many images that match the filters are dated after now, and kept for that. */
export async function countAfter(catalog: ImageIndex, rules: Rules, signal?: AbortSignal): Promise<number> {
  if (rules.takesFuture) return 0;
  let count = 0;
  // What came since the plan is after its time, and not for a wrong date.
  for await (const rows of pages(catalog, rules, { start: rules.now + 1, order: 'oldest' }, signal))
    count += rows.filter(({ isChanged }) => !isChanged).length;
  return count;
}

/** Returns the first timestamp that is too late. */
function endOf({ now, takesFuture }: Rules): number {
  return takesFuture ? Number.MAX_SAFE_INTEGER : now + 1;
}

async function readGroups(catalog: ImageIndex, rules: Rules, signal: AbortSignal | undefined): Promise<Groups> {
  const groups = new Map<string, Group>();
  if (isUnranked(rules)) return groups.set('', { ...newGroup('', rules), first: NEWEST });
  for await (const rows of pages(catalog, rules, { end: endOf(rules), order: 'newest' }, signal)) {
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

/** Returns whether no image keeps its place by the others. */
function isUnranked({ keepLast = 0, keepBytes = 0, keepDaily = 0, groupBy }: Rules): boolean {
  return groupBy === undefined && Math.max(keepLast, keepBytes, keepDaily) === 0;
}

function newGroup(key: string, { keepLast = 0, keepBytes = 0, keepDaily = 0, groupBy, reason }: Rules): Group {
  const name = groupBy === 'day' ? utcDay(Number(key) * DAY_MS) : key;
  return { countLeft: keepLast, bytesLeft: keepBytes, daysLeft: keepDaily, daily: new Set(), reason: reason(name) };
}

/** Counts the next newest image of a group. What is spared anyway has no place among those that are kept. */
function take(row: ImageSize, group: Group): void {
  if (row.pinned || row.isChanged) {
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
  { filter, except, groupBy, since }: Rules,
  part: Pick<CatalogQuery, 'start' | 'end' | 'order'>,
  signal: AbortSignal | undefined,
): AsyncGenerator<ImageSize[]> {
  const group = groupBy === 'day' ? undefined : groupBy;
  const query = { ...filter, ...part, ...overlapOf(filter, part) };
  let after: ImageSize | undefined;
  for (;;) {
    throwIfCancelled(signal);
    const request = { ...(after && { after }), ...(group && { group }), since, limit: SCAN_ROWS };
    const rows = await catalog.pageSizes(query, request);
    const wanted = except === undefined ? rows : rows.filter(({ filename }) => !except.has(filename));
    if (wanted.length > 0) yield wanted;
    if (rows.length < SCAN_ROWS) return;
    after = rows.at(-1);
  }
}

/** Returns the times that both have. */
function overlapOf(...spans: Pick<CatalogQuery, 'start' | 'end'>[]): Pick<CatalogQuery, 'start' | 'end'> {
  const [starts, ends] = [spans.flatMap(({ start }) => start ?? []), spans.flatMap(({ end }) => end ?? [])];
  return {
    ...(starts.length > 0 && { start: Math.max(...starts) }),
    ...(ends.length > 0 && { end: Math.min(...ends) }),
  };
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
