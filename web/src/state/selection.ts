/** The images that were selected: some of them, or all that match but a few. */
import { computed, effect, signal } from '@preact/signals';
import type { Row } from '../api/images.ts';
import { rowAt, rowsVersion, shown } from './gallery.ts';
import { selector } from './view.ts';

export interface Selected {
  /** Whether all that match are selected, but `rows`; else only these are. */
  isAll: boolean;
  /** By id. */
  rows: ReadonlyMap<string, Row>;
}

const NONE: Selected = { isAll: false, rows: new Map() };

export const selected = signal(NONE);
/** The place that was selected last: a range begins there. */
let anchor = 0;

export const selectedCount = computed(() => {
  const { isAll, rows } = selected.value;
  return isAll ? Math.max(0, (shown.value?.counts.matching ?? 0) - rows.size) : rows.size;
});

export const isSelecting = computed(() => selectedCount.value > 0);

export function isSelected({ id }: Row): boolean {
  const { isAll, rows } = selected.value;
  return rows.has(id) !== isAll;
}

export function toggleAt(index: number): void {
  const row = rowAt(index);
  if (row === undefined) return;
  anchor = index;
  put([row], !isSelected(row));
}

/** Selects all from the place that was selected last, reading what nobody has scrolled past. */
export async function selectTo(index: number): Promise<void> {
  const [first, last] = [Math.min(anchor, index), Math.max(anchor, index)];
  const among = shown.peek();
  await untilRead(first, last);
  if (shown.peek() !== among) return;
  const rows: Row[] = [];
  for (let at = first; at <= last; at += 1) {
    const row = rowAt(at);
    if (row !== undefined) rows.push(row);
  }
  put(rows, true);
}

export function selectAll(): void {
  selected.value = { isAll: true, rows: new Map() };
}

export function clearSelection(): void {
  selected.value = NONE;
}

/** Takes images out that are gone. */
export function deselect(ids: Iterable<string>): void {
  const { isAll, rows } = selected.peek();
  const left = new Map(isAll ? [] : rows);
  for (const id of ids) left.delete(id);
  selected.value = { isAll: false, rows: left };
}

/** Another view begins with nothing selected. */
export function startSelection(): void {
  effect(() => {
    selector.value;
    clearSelection();
  });
}

function put(rows: readonly Row[], isWanted: boolean): void {
  const { isAll, rows: before } = selected.peek();
  const next = new Map(before);
  for (const row of rows) {
    if (isWanted === isAll) next.delete(row.id);
    else next.set(row.id, row);
  }
  selected.value = { isAll, rows: next };
}

function untilRead(first: number, last: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = effect(() => {
    rowsVersion.value;
    const rows = shown.value?.rows;
    if (rows?.isRead(first, last) ?? true) resolve();
    else rows!.want(first, last);
  });
  return promise.finally(stop);
}
