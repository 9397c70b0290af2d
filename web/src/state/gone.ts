/** Images that were deleted while they are on the screen: they keep their place until the view changes. */
import { effect, signal } from '@preact/signals';
import { shown } from './gallery.ts';

/** Ids. */
export const gone = signal<ReadonlySet<string>>(new Set());

export function markGone(ids: Iterable<string>): void {
  gone.value = new Set([...gone.peek(), ...ids]);
}

export function unmarkGone(ids: Iterable<string>): void {
  const left = new Set(gone.peek());
  for (const id of ids) left.delete(id);
  gone.value = left;
}

export function startGone(): void {
  effect(() => {
    shown.value;
    gone.value = new Set();
  });
}
