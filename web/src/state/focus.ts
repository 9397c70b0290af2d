/** The place in the grid that the keyboard is at, which is also that of the open image. */
import { signal } from '@preact/signals';

/** -1: none yet. */
export const focusedIndex = signal(-1);
/** The place that was opened last: it keeps a thin ring. */
export const lastOpened = signal('');
/** Grows when somebody wants to see the newest images, wherever they are. */
export const newestAsked = signal(0);
/** Where the focus is to go; the grid takes it there. */
export const focusAsked = signal<number | undefined>(undefined);
