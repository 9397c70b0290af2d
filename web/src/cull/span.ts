/** From when to when the images of plans are, as far as their filters tell. */

import { callRpc } from '../api/call.ts';
import type { DeletePlan } from '../api/changes.ts';
import { texts } from '../texts.ts';

/** Empty where there are none. Rejects as `callRpc`. */
export async function spanOf(plans: readonly DeletePlan[], signal: AbortSignal): Promise<string> {
  const times = (await Promise.all(plans.map((plan) => timesOf(plan, signal)))).flat();
  if (times.length === 0) return '';
  return texts.cull.span(Math.min(...times), Math.max(...times));
}

async function timesOf({ doomed: { provider, selection } }: DeletePlan, signal: AbortSignal): Promise<number[]> {
  // Names begin with their time.
  if (selection.only?.length) return selection.only.flatMap(timeIn);
  const { dateRange, model, category, query, tags, olderThanAge, keepCount, keepBytes } = selection;
  // What these keep is counted with the others.
  if (olderThanAge !== undefined || keepCount !== undefined || keepBytes !== undefined) return [];
  const { total } = await callRpc(
    'stats',
    { provider, dateRange, model, category, query, tags, pinned: false },
    signal,
  );
  return [total?.oldest, total?.newest].flatMap((time) => (time === undefined ? [] : [Date.parse(time)]));
}

const NAME = /^(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)_/;

function timeIn(filename: string): number[] {
  const [, year, month, day, hours, minutes, seconds] = NAME.exec(filename) ?? [];
  return year === undefined ? [] : [Date.parse(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}Z`)];
}
