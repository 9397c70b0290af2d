/** Deletes into the trash. What is pinned, or has changed since it was planned, is spared and named. */
import { signal } from '@preact/signals';
import { CallError } from '../api/call.ts';
import {
  allBut,
  type DeletePlan,
  type Doomed,
  MAX_NAMES,
  namesByProvider,
  planDelete,
  runDelete,
} from '../api/changes.ts';
import { describeImage, type Row } from '../api/images.ts';
import { nextPlace, reload, rowAt, shown } from '../state/gallery.ts';
import { gone, markGone, unmarkGone } from '../state/gone.ts';
import { expectChange } from '../state/live.ts';
import { tell } from '../state/notices.ts';
import { clearSelection, deselect, selected, selectedCount } from '../state/selection.ts';
import { filtersOf } from '../state/url.ts';
import { selector } from '../state/view.ts';
import { texts } from '../texts.ts';
import { showChanged } from './pin.ts';
import { begin, type Deletion, tellDeleted } from './undo.ts';

/** More than these are shown as a plan first. */
const MAX_UNASKED = 20;

/** Plans that somebody is asked about. */
export interface Question {
  /** No two have the same. */
  number: number;
  plans: readonly DeletePlan[];
  answer(isYes: boolean): void;
}

export const question = signal<Question | undefined>(undefined);
let asking: Promise<unknown> = Promise.resolve();
let asked = 0;

/** Deletes these images; asks first where they are many, or where it is for good. */
export async function deleteRows(rows: readonly Row[]): Promise<void> {
  const ids = rows.map(({ id }) => id);
  markGone(ids);
  deselect(ids);
  await begin(async (deletion) => {
    let isAgreed = false;
    const left = new Map(rows.map((row) => [row.id, row]));
    try {
      const plans = await Promise.all(doomedOf(rows).map((doomed) => planDelete(doomed)));
      isAgreed = await agreed(plans);
      if (isAgreed) await run(plans, deletion);
    } finally {
      for (const { id } of deletion.images) left.delete(id);
      unmarkGone(left.keys());
      markDeleted(deletion);
    }
    if (!isAgreed) return;
    const missing = await lookAgain([...left.values()]);
    markGone(missing);
    for (const id of missing) left.delete(id);
    const spared = [...left.values()].map(({ filename }) => filename);
    tellDeleted(deletion, (count) => texts.cull.deleted(count, spared, missing.size));
  });
}

/** Deletes what is selected. */
export async function deleteSelected(): Promise<void> {
  const { isAll, rows } = selected.peek();
  if (!isAll) return deleteRows([...rows.values()]);
  await begin(async (deletion) => {
    const plans = await Promise.all(allShownBut([...rows.values()]).map((doomed) => planDelete(doomed)));
    if (!(await ask(plans))) return;
    await runAll(plans, deletion);
    clearSelection();
  });
}

/** Deletes what a plan has of all that match. Throws as `callRpc` rejects. */
export async function runAll(plans: readonly DeletePlan[], deletion: Deletion): Promise<void> {
  try {
    const keptChanged = await run(plans, deletion);
    const until = Math.min(...plans.map(({ restorableUntil }) => restorableUntil ?? 0));
    tellDeleted(deletion, (count) =>
      texts.cull.deletedAll(count, deletion.isUndoable ? until : undefined, keptChanged),
    );
  } finally {
    await reload();
  }
}

/** All that is shown, except these, by provider. */
export function allShownBut(rows: readonly Row[]): Doomed[] {
  const filters = filtersOf(selector.peek());
  const providers = shown.peek()?.counts.providers ?? [];
  return providers.map((provider) => {
    const except = rows.filter((row) => row.provider === provider);
    return allBut(
      filters,
      provider,
      except.map(({ filename }) => filename),
    );
  });
}

/** Whether a selection of all that match can be deleted at once: a call names at most 1,000 exceptions. */
export function isDeletable(): boolean {
  const { isAll, rows } = selected.value;
  return selectedCount.value > 0 && !(isAll && rows.size > MAX_NAMES);
}

/** The next image that is not gone; at the end, the one before. */
export function nextLeft(index: number): number | undefined {
  const isLeft = (at: number) => !gone.value.has(rowAt(at)?.id ?? '');
  return nextPlace(index, 1, isLeft) ?? nextPlace(index, -1, isLeft);
}

/** Returns how many were spared since they came or changed after the plan. Tells how far it is where it takes several calls. */
async function run(plans: readonly DeletePlan[], deletion: Deletion): Promise<number> {
  const count = plans.reduce((sum, plan) => sum + plan.count, 0);
  let keptChanged = 0;
  for (const plan of plans) {
    const { provider } = plan.doomed;
    let kept = 0;
    for await (const part of runDelete(plan)) {
      if (part.filenames.length > 0) deletion.isUndoable &&= part.restorableUntil !== undefined;
      for (const filename of part.filenames) {
        deletion.images.push({ id: `${provider}/${filename}`, provider, filename });
      }
      if (count > MAX_NAMES) tell({ text: texts.cull.deleting(deletion.images.length, count) });
      // Each part looks through all that is left.
      kept = part.keptChanged;
    }
    keptChanged += kept;
  }
  return keptChanged;
}

/** Also where the view has changed while they were deleted. */
function markDeleted({ images }: Deletion): void {
  const placed = images.flatMap(({ id }) => (shown.peek()?.rows.placeOf(id) === undefined ? [] : [id]));
  markGone(placed);
  expectChange(-placed.length);
}

/** Shows anew what a delete has left, as far as it is little; returns the ids of what somebody else had deleted. */
async function lookAgain(rows: readonly Row[]): Promise<ReadonlySet<string>> {
  const missing = new Set<string>();
  const look = async ({ id, filename, provider }: Row) => {
    try {
      showChanged(await describeImage(filename, provider));
    } catch (error) {
      if (error instanceof CallError && error.status === 404) missing.add(id);
    }
  };
  await Promise.all(rows.slice(0, MAX_UNASKED).map(look));
  return missing;
}

async function agreed(plans: readonly DeletePlan[]): Promise<boolean> {
  const count = plans.reduce((sum, plan) => sum + plan.count, 0);
  if (count <= MAX_UNASKED && plans.every((plan) => plan.count === 0 || plan.restorableUntil !== undefined))
    return true;
  return ask(plans);
}

/** One question after the other. */
function ask(plans: readonly DeletePlan[]): Promise<boolean> {
  const answer = asking.then(async () => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    asked += 1;
    question.value = { number: asked, plans, answer: resolve };
    const isYes = await promise;
    question.value = undefined;
    return isYes;
  });
  asking = answer;
  return answer;
}

function doomedOf(rows: readonly Row[]): Doomed[] {
  return namesByProvider(rows).map(({ provider, filenames }) => ({ provider, selection: { only: filenames } }));
}
