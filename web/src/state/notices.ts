/** What has happened, told on the screen for a while and to screen readers. */
import { signal } from '@preact/signals';
import { CallError } from '../api/call.ts';
import { texts } from '../texts.ts';

export interface Notice {
  text: string;
  /** Such as `Undo`. */
  action?: { text: string; run(): void };
  isError?: boolean;
}

const SHOWN_MS = 10_000;
const SPOKEN_MS = 5_000;

/** One at a time: the newest. */
export const notice = signal<Notice | undefined>(undefined);
/** For screen readers alone, such as what a key has done that is seen anyway. */
export const spoken = signal('');
let timer: ReturnType<typeof setTimeout> | undefined;
let silence: ReturnType<typeof setTimeout> | undefined;

/** Errors stay until they are put away. */
export function tell(next: Notice): void {
  clearTimeout(timer);
  notice.value = next;
  say(next.text);
  if (!next.isError) timer = setTimeout(dismiss, SHOWN_MS);
}

/** Tells why something did not work. Throws what is none of the daemon's errors. */
export function tellError(error: unknown): void {
  if (!(error instanceof CallError)) throw error;
  tell({ text: textOfError(error), isError: true });
}

export function textOfError({ isOffline, isLocked, message }: CallError): string {
  if (isLocked) return texts.problems.locked;
  return isOffline ? texts.problems.offline : texts.problems.other(message);
}

export function say(text: string): void {
  clearTimeout(silence);
  // The same once more is no change, which alone is heard.
  spoken.value = spoken.peek() === text ? `${text}\u00a0` : text;
  // Or it would be heard again where it appears again: behind a dialog that is closed.
  silence = setTimeout(() => (spoken.value = ''), SPOKEN_MS);
}

export function dismiss(): void {
  clearTimeout(timer);
  notice.value = undefined;
}
