/** Whether the grid moves so fast that nobody can see what passes. */
import { signal } from '@preact/signals';

const FAST_SCREENS_PER_SECOND = 6;
const STILL_MS = 100;

export const isFlinging = signal(false);
let lastMs = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

export function noteScroll(movedPx: number, viewportPx: number): void {
  const now = performance.now();
  const seconds = Math.max(1, now - lastMs) / 1000;
  lastMs = now;
  if (Math.abs(movedPx) / viewportPx / seconds > FAST_SCREENS_PER_SECOND && seconds < 1) isFlinging.value = true;
  clearTimeout(timer);
  if (isFlinging.value) timer = setTimeout(() => (isFlinging.value = false), STILL_MS);
}
