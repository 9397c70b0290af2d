/** The keyboard in the grid: one cell has the focus, keys move it, and an image that is closed gives it back. */
import { untracked, useSignalEffect } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { focusAsked, focusedIndex } from '../state/focus.ts';
import { nextPlace, shown, total } from '../state/gallery.ts';
import { useKeys } from '../state/keys.ts';
import { isOpen, openAt } from '../state/open.ts';
import type { GridWindow } from './use-window.ts';

export function useGridFocus({ scroller, metrics, rowsOnScreen, firstSeen, show }: GridWindow): void {
  const isWanted = useRef(false);
  const isCovered = isOpen.value;
  const focusOn = (asked: number) => {
    const index = Math.min(Math.max(0, asked), total.value - 1);
    focusedIndex.value = shown.value?.rows.isEmpty(index) ? besides(index, asked < focusedIndex.value) : index;
    isWanted.current = true;
    show(focusedIndex.value);
  };
  // The cell may come with a later rendering, once its row is read.
  useEffect(() => {
    if (!isWanted.current || isCovered) return;
    const cell = scroller.current!.querySelector<HTMLElement>(`[data-index="${focusedIndex.value}"]`);
    if (cell === null) return;
    isWanted.current = false;
    cell.focus({ preventScroll: true });
  });

  const selector = shown.value?.selector;
  const before = useRef(selector);
  useLayoutEffect(() => {
    if (before.current !== undefined && before.current !== selector) {
      // A cell that has the focus is another image's now.
      focusedIndex.value = scroller.current!.contains(document.activeElement) ? 0 : -1;
    }
    before.current = selector;
  }, [selector]);

  // Where images that came in have moved the one with the focus, it is another cell that has it now.
  const rows = shown.value?.rows;
  useLayoutEffect(() => {
    const cell = document.activeElement;
    const isMoved = cell instanceof HTMLElement && Number(cell.dataset.index) !== focusedIndex.value;
    if (isMoved && scroller.current!.contains(cell)) isWanted.current = true;
  }, [rows]);

  useSignalEffect(() => {
    const index = focusAsked.value;
    if (index === undefined) return;
    focusAsked.value = undefined;
    untracked(() => focusOn(index));
  });

  // The grid follows the image that is open, and its cell has the focus when it is closed.
  const wasOpen = useRef(isOpen.peek());
  useSignalEffect(() => {
    const index = focusedIndex.value;
    if (isOpen.value) {
      wasOpen.current = true;
      if (index >= 0) show(index);
    } else if (wasOpen.current) {
      wasOpen.current = false;
      if (index >= 0) focusOn(index);
    }
  });

  const go = (to: () => number) => () => {
    if (total.value === 0) return false;
    focusOn(to());
  };
  /** The first key finds out where one is. */
  const step = (by: () => number) => go(() => (focusedIndex.value < 0 ? firstSeen.value : focusedIndex.value + by()));
  const page = () => metrics.value.columns * rowsOnScreen.value;
  useKeys({
    left: step(() => -1),
    right: step(() => 1),
    up: step(() => (focusedIndex.value < metrics.value.columns ? 0 : -metrics.value.columns)),
    down: step(() => metrics.value.columns),
    pageUp: step(() => -page()),
    pageDown: step(page),
    first: go(() => 0),
    last: go(() => total.value - 1),
    open: () => focusedIndex.value >= 0 && openAt(focusedIndex.value),
  });
}

/** A place with an image beside one that has none any more: farther on the way, or else where one came from. */
function besides(index: number, isBackward: boolean): number {
  const by = isBackward ? -1 : 1;
  return nextPlace(index, by) ?? nextPlace(index, by === 1 ? -1 : 1) ?? index;
}
