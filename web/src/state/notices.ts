/** What has happened, told on the screen for a while and to screen readers. */
import { signal } from '@preact/signals';

export interface Notice {
  text: string;
  /** Such as `Undo`. */
  action?: { text: string; run(): void };
  isError?: boolean;
}

const SHOWN_MS = 10_000;

/** One at a time: the newest. */
export const notice = signal<Notice | undefined>(undefined);
/** For screen readers alone, such as what a key has done that is seen anyway. */
export const spoken = signal('');
let timer: ReturnType<typeof setTimeout> | undefined;

/** Errors stay until they are put away. */
export function tell(next: Notice): void {
  clearTimeout(timer);
  notice.value = next;
  spoken.value = next.text;
  if (!next.isError) timer = setTimeout(dismiss, SHOWN_MS);
}

export function say(text: string): void {
  spoken.value = text;
}

export function dismiss(): void {
  clearTimeout(timer);
  notice.value = undefined;
}
