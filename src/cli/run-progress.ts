/** The progress of a long run on a terminal: a bar over its bytes, the count of its items, and the time that is left. */
import type { WriteStream } from 'node:tty';
import { countOf, progressLine, redraw } from './terminal.ts';

/** How far a run is; totals of 0 are not known. */
export interface Amount {
  items: number;
  totalItems: number;
  bytes: number;
  totalBytes: number;
}

export interface RunProgress {
  set(done: Amount): void;
  /** Takes the bar away so that a line can be printed; the next `set` draws it again. */
  clear(): void;
}

const REDRAW_MS = 100;
/** Earlier there is no telling. */
const FIRST_ESTIMATE_MS = 2_000;

/** Draws nothing where the stream is no terminal. */
export function createRunProgress(noun: string, stream: WriteStream = process.stderr): RunProgress {
  const startedAt = Date.now();
  let drawnAt = 0;
  return {
    set({ items, totalItems, bytes, totalBytes }) {
      if (!stream.isTTY || Date.now() - drawnAt < REDRAW_MS) return;
      drawnAt = Date.now();
      const left = timeLeft(bytes / totalBytes, drawnAt - startedAt);
      redraw(stream, `${progressLine(bytes, totalBytes)}, ${items} of ${countOf(totalItems, noun)}${left}`);
    },
    clear() {
      if (drawnAt > 0) stream.write('\r\x1b[K');
      drawnAt = 0;
    },
  };
}

/** `, 1:05 left` */
export function timeLeft(share: number, elapsedMs: number): string {
  if (elapsedMs < FIRST_ESTIMATE_MS || !(share > 0) || share === Number.POSITIVE_INFINITY) return '';
  const seconds = Math.max(0, Math.round((elapsedMs * (1 / share - 1)) / 1000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const padded = (value: number) => String(value).padStart(2, '0');
  return hours > 0 ? `, ${hours}:${padded(minutes)}:${padded(rest)} left` : `, ${minutes}:${padded(rest)} left`;
}
