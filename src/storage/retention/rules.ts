/** The rules of a cleanup or a policy: what they keep, and why an image goes that none of them keeps. */

import type { CatalogQuery, Moment } from '../catalog/catalog.ts';
import { formatBytes } from '../domain/byte-size.ts';
import type { KeepGroup } from '../domain/config.ts';
import { formatAge } from '../domain/dates.ts';
import type { Policy } from '../domain/policy.ts';
import type { CleanupCriteria, CleanupOptions, Position, Selection } from '../domain/requests.ts';
import { hasCriterion } from './selection.ts';

/** An image goes that matches the filters, is not dated after now, and is kept by no rule and no pin. Times are ms. */
export interface Rules {
  filter: Omit<CatalogQuery, 'order'>;
  /** Keeps images with these filenames, and counts none of them. */
  except?: ReadonlySet<string> | undefined;
  now: number;
  /** True: images dated after now go, too. */
  takesFuture?: boolean;
  /** Keeps images with this timestamp or a later one. */
  cutoff?: number | undefined;
  /** Keeps so many of the newest of each group that are not pinned. */
  keepLast?: number | undefined;
  /** Keeps the newest of each of so many last days of each group. */
  keepDaily?: number | undefined;
  /** Keeps the newest of each group that together fit into so many bytes. */
  keepBytes?: number | undefined;
  groupBy?: KeepGroup | undefined;
  /** Spares images that came after this time, whatever their timestamp. */
  newSince?: number;
  /** Spares images that were learnt or changed after this moment, and counts none of them. */
  since?: Moment | undefined;
  /** Spares images after this one. */
  last?: Position | undefined;
  /** Returns why an image of this group goes. */
  reason: (group: string) => string;
}

/** Why an image goes that no criterion would keep. */
const SELECTED = 'selected';
/** How long nothing goes by itself once it came. */
export const NEW_MS: number = 24 * 60 * 60 * 1000;

export function rulesOfCleanup(options: CleanupOptions, now: number): Rules {
  if (options.selection !== undefined) return rulesOfSelection(options.selection, now);
  const { model, category } = options;
  return { filter: { model, category }, now, ...rulesOfCriteria(options, now) };
}

/** Who names the images and no criterion means them whatever their date. */
function rulesOfSelection(selection: Selection, now: number): Rules {
  const { dateRange, model, category, query, tags, pinned, only = [], except = [] } = selection;
  return {
    filter: {
      ...{ model, category, query, tags, pinned },
      ...(only.length > 0 && { only }),
      ...(dateRange?.start && { start: dateRange.start.getTime() }),
      ...(dateRange?.end && { end: dateRange.end.getTime() }),
    },
    ...(except.length > 0 && { except: new Set(except) }),
    now,
    takesFuture: !hasCriterion(selection),
    ...rulesOfCriteria(selection, now),
  };
}

function rulesOfCriteria(
  { olderThan, olderThanAgeMs, keepCount, keepBytes }: CleanupCriteria,
  now: number,
): Pick<Rules, 'cutoff' | 'keepLast' | 'keepBytes' | 'reason'> {
  const cutoff = olderThan && Math.min(olderThan.getTime(), now);
  const age = olderThanAgeMs === undefined ? olderThan?.toISOString() : formatAge(olderThanAgeMs);
  const why = [
    ...(age === undefined ? [] : [`older than ${age}`]),
    ...(keepCount === undefined ? [] : [`not among the newest ${inWords(keepCount)}`]),
    ...(keepBytes === undefined ? [] : [`beyond the newest ${formatBytes(keepBytes)}`]),
  ].join(', ');
  return { cutoff, keepLast: keepCount, keepBytes, reason: () => why || SELECTED };
}

export function rulesOfPolicy(policy: Policy, now: number): Rules {
  const { model, category, tag, keepWithinMs, keepLast, keepDaily, keepBytes, groupBy } = policy;
  return {
    filter: { model, category, ...(tag !== undefined && { tags: [tag] }) },
    now,
    cutoff: keepWithinMs === undefined ? undefined : now - keepWithinMs,
    keepLast,
    keepDaily,
    keepBytes,
    groupBy,
    newSince: now - NEW_MS,
    reason: (group) => reasonOfPolicy(policy, group),
  };
}

function reasonOfPolicy(policy: Policy, group: string): string {
  const { keepWithinMs, keepLast, keepDaily, keepBytes } = policy;
  const ranks = [
    ...(keepLast === undefined ? [] : [`not among the last ${inWords(keepLast)}`]),
    ...(keepDaily === undefined ? [] : [`not the newest of one of the last ${inWords(keepDaily)} days`]),
    ...(keepBytes === undefined ? [] : [`beyond the newest ${formatBytes(keepBytes)}`]),
  ].join(', ');
  const among = `${ranks}${ranks && whichOf(policy, group)}`;
  const older = keepWithinMs === undefined ? '' : `older than ${formatAge(keepWithinMs)}`;
  return [older, among].filter((part) => part !== '').join(', ');
}

/** Names the images among which the ranks are. */
function whichOf({ groupBy, model, category, tag }: Policy, group: string): string {
  const [ofModel, inCategory] = [groupBy === 'model' ? group : model, groupBy === 'category' ? group : category];
  return [
    ...(ofModel === undefined ? [] : [ofModel === '' ? ' without a model' : ` of ${ofModel}`]),
    ...(inCategory === undefined ? [] : [inCategory === '' ? ' without a category' : ` in ${inCategory}`]),
    ...(tag === undefined ? [] : [` tagged ${tag}`]),
    ...(groupBy === 'day' ? [` of ${group}`] : []),
  ].join('');
}

function inWords(count: number): string {
  return count.toLocaleString('en');
}
