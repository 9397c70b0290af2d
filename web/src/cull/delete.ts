/** Deletes into the trash and takes it back. What is pinned, or has changed since it was planned, is spared and named. */
import { signal } from '@preact/signals';
import { CallError } from '../api/call.ts';
import {
  allBut,
  type DeletePlan,
  type Doomed,
  MAX_NAMES,
  onlyThese,
  planDelete,
  restoreImages,
  runDelete,
} from '../api/changes.ts';
import type { Row } from '../api/images.ts';
import { reload, shown } from '../state/gallery.ts';
import { markGone, unmarkGone } from '../state/gone.ts';
import { expectChange } from '../state/live.ts';
import { dismiss, notice, tell } from '../state/notices.ts';
import { clearSelection, deselect, selected, selectedCount } from '../state/selection.ts';
import { filtersOf } from '../state/url.ts';
import { selector } from '../state/view.ts';
import { texts } from '../texts.ts';

/** More than these are shown as a plan first. */
const MAX_UNASKED = 20;
const MAX_UNDO = 200;

/** A plan that somebody is asked about. */
export interface Question {
  plans: DeletePlan[];
  answer(isYes: boolean): void;
}

export const question = signal<Question | undefined>(undefined);

/** What was deleted and can be taken back, the last one last. */
const undoable: Row[][] = [];
/** Of these, what the notice on the screen is about. */
let told: Row[][] = [];

/** Deletes these images; asks first where they are many, or where it is for good. */
export async function deleteRows(rows: readonly Row[]): Promise<void> {
  const ids = rows.map(({ id }) => id);
  markGone(ids);
  deselect(ids);
  try {
    const plans = await Promise.all(chunksOf(rows).map((doomed) => planDelete(doomed)));
    if (!(await isAgreed(plans))) return unmarkGone(ids);
    await run(plans, rows);
  } catch (error) {
    unmarkGone(ids);
    report(error);
  }
}

/** Deletes what is selected. */
export async function deleteSelected(): Promise<void> {
  const { isAll, rows } = selected.peek();
  if (!isAll) return deleteRows([...rows.values()]);
  try {
    const plan = await planDelete(allBut(filtersOf(selector.peek()), namesIn(rows.values())));
    if (!(await ask([plan]))) return;
    const { count, restorableUntil } = await runDelete(plan);
    clearSelection();
    await reload();
    tell({ text: texts.cull.deletedAll(count, restorableUntil) });
  } catch (error) {
    report(error);
  }
}

/** Whether a selection of all that match can be deleted at once: a call names at most 1,000 exceptions. */
export function isDeletable(): boolean {
  const { isAll, rows } = selected.value;
  return selectedCount.value > 0 && !(isAll && rows.size > MAX_NAMES);
}

/** Takes the last delete back. */
export async function undoLast(): Promise<void> {
  const rows = undoable.pop();
  if (rows === undefined) return;
  told = told.filter((each) => each !== rows);
  await takeBack(rows);
}

async function undoTold(): Promise<void> {
  const rows = told.flat();
  for (const each of told) undoable.splice(undoable.indexOf(each), 1);
  told = [];
  await takeBack(rows);
}

async function takeBack(rows: readonly Row[]): Promise<void> {
  try {
    const back = new Set<string>();
    for (const [provider, own] of byProvider(rows)) {
      for (const filename of await restoreImages(provider, namesIn(own))) back.add(`${provider}/${filename}`);
    }
    expectChange(back.size);
    const isStillShown = rows.every(({ id }) => shown.peek()?.rows.placeOf(id) !== undefined);
    if (isStillShown) unmarkGone(back);
    else await reload();
    const missing = rows.length - back.size;
    dismiss();
    tell({
      text: missing === 0 ? texts.cull.restored(back.size) : texts.cull.notRestored(missing),
      isError: missing > 0,
    });
  } catch (error) {
    report(error);
  }
}

async function run(plans: readonly DeletePlan[], rows: readonly Row[]): Promise<void> {
  const left = new Map(rows.map((row) => [row.id, row]));
  const deleted: Row[] = [];
  let isUndoable = true;
  try {
    for (const plan of plans) {
      const { filenames, restorableUntil } = await runDelete(plan);
      isUndoable &&= restorableUntil !== undefined;
      for (const filename of filenames) {
        const id = `${plan.doomed.provider}/${filename}`;
        deleted.push(left.get(id)!);
        left.delete(id);
      }
    }
  } finally {
    expectChange(-deleted.length);
    unmarkGone(left.keys());
  }
  tellDeleted(deleted, [...left.values()], isUndoable);
}

/** Deletes that follow one another while the notice stands are told together. */
function tellDeleted(deleted: Row[], spared: readonly Row[], isUndoable: boolean): void {
  if (notice.peek() === undefined) told = [];
  if (deleted.length > 0 && isUndoable) {
    undoable.push(deleted);
    told.push(deleted);
    if (undoable.length > MAX_UNDO) undoable.shift();
  }
  const count = isUndoable ? told.flat().length : deleted.length;
  const action = isUndoable && count > 0 ? { text: texts.cull.undo, run: () => void undoTold() } : undefined;
  tell({
    text: texts.cull.deleted(
      count,
      spared.map(({ filename }) => filename),
    ),
    ...(action && { action }),
  });
}

async function isAgreed(plans: DeletePlan[]): Promise<boolean> {
  const count = plans.reduce((sum, plan) => sum + plan.count, 0);
  if (count <= MAX_UNASKED && plans.every((plan) => plan.count === 0 || plan.restorableUntil !== undefined))
    return true;
  return ask(plans);
}

async function ask(plans: DeletePlan[]): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  question.value = { plans, answer: resolve };
  const isYes = await promise;
  question.value = undefined;
  return isYes;
}

/** A call is for one provider, and names at most 1,000 images. */
function chunksOf(rows: readonly Row[]): Doomed[] {
  return byProvider(rows).flatMap(([provider, own]) => {
    const names = namesIn(own);
    const starts = Array.from({ length: Math.ceil(names.length / MAX_NAMES) }, (_, at) => at * MAX_NAMES);
    return starts.map((start) => onlyThese(provider, names.slice(start, start + MAX_NAMES)));
  });
}

function byProvider(rows: readonly Row[]): [provider: string, rows: Row[]][] {
  return [...Map.groupBy(rows, ({ provider }) => provider)];
}

function namesIn(rows: Iterable<Row>): string[] {
  return [...rows].map(({ filename }) => filename);
}

function report(error: unknown): void {
  if (!(error instanceof CallError)) throw error;
  tell({ text: error.isOffline ? texts.problems.offline : texts.problems.other(error.message), isError: true });
}
