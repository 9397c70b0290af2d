/** Two images side by side: which, and the way there and back. */
import { computed } from '@preact/signals';
import type { Row } from '../api/images.ts';
import { nextPlace, rowAt, shown } from './gallery.ts';
import { openIndex } from './open.ts';
import { changeView, stepBack, view } from './view.ts';

/** Undefined: nothing is compared. */
export const compared = computed(() => {
  const [left, right] = view.value.compared;
  return left === undefined || right === undefined ? undefined : { left, right };
});

export function compare(left: Row, right: Row): void {
  changeView({ compared: [left.id, right.id] });
}

export function compareOpen(): void {
  if (openIndex.value !== undefined) compareAt(openIndex.value);
}

/** Compares an image with the one behind it, or, where it is the last, before it. */
export function compareAt(index: number): void {
  const other = nextPlace(index, 1) ?? nextPlace(index, -1);
  const [left, right] = [rowAt(index), other === undefined ? undefined : rowAt(other)];
  if (left !== undefined && right !== undefined) compare(left, right);
}

/** Puts another image at the right: the next or the one before, as far as their places are known. */
export function turnRight(by: 1 | -1): void {
  const { left, right } = compared.value!;
  const place = shown.value?.rows.placeOf(right);
  if (place === undefined) return;
  const next = nextPlace(place, by, (at) => rowAt(at)?.id !== left);
  const row = next === undefined ? undefined : rowAt(next);
  if (row !== undefined) changeView({ compared: [left, row.id] }, 'replace');
}

export function stopComparing(): void {
  stepBack({ compared: [] });
}
