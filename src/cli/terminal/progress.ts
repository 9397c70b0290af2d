/** Shows progress on a terminal: a bar over bytes and, for long runs, the count of items and the time left. */
import type { WriteStream } from 'node:tty';
import { countOf, formatBytes, shorten } from './text.ts';

export interface Progress {
  /** Sets the bytes of this item that are done. */
  set(item: string, doneBytes: number): void;
  /** Erases the bar so that a line can be printed; the next `set` draws it again. */
  clear(): void;
}

const REDRAW_MS = 100;
const BAR_WIDTH = 24;

/** Returns a bar over the bytes of all items; it draws nothing where the stream is not a terminal. */
export function createProgress(totalBytes: number, stream: WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { set: () => {}, clear: () => {} };
  const done = new Map<string, number>();
  let drawnAt = 0;
  return {
    set(item, doneBytes) {
      done.set(item, doneBytes);
      if (Date.now() - drawnAt < REDRAW_MS) return;
      drawnAt = Date.now();
      const sum = [...done.values()].reduce((total, bytes) => total + bytes, 0);
      redraw(stream, progressLine(sum, totalBytes));
    },
    clear() {
      if (drawnAt > 0) stream.write('\r\x1b[K');
      drawnAt = 0;
    },
  };
}

/** Replaces the last line, and cuts the new one to the width: a wrapped line could not be erased. */
export function redraw(stream: WriteStream, line: string): void {
  // Some terminals report 0 columns.
  stream.write(`\r\x1b[K${shorten(line, (stream.columns || Number.POSITIVE_INFINITY) - 1)}`);
}

/** Returns `[████······]  42%  1.3 MB of 3.1 MB`; without a known total, the bytes alone. */
export function progressLine(doneBytes: number, totalBytes: number): string {
  if (totalBytes === 0) return `sent ${formatBytes(doneBytes)}`;
  const share = Math.min(1, doneBytes / totalBytes);
  const bar = '█'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '·');
  return `[${bar}] ${String(Math.floor(share * 100)).padStart(3)}%  ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
}

/** The progress of a run; a total of 0 is unknown. */
export interface Amount {
  items: number;
  totalItems: number;
  bytes: number;
  totalBytes: number;
}

export interface RunProgress {
  set(done: Amount): void;
  /** Erases the bar so that a line can be printed; the next `set` draws it again. */
  clear(): void;
}

/** An earlier estimate would be a guess. */
const FIRST_ESTIMATE_MS = 2_000;

/** Returns a bar over the items of a run; it draws nothing where the stream is not a terminal. */
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

/** Returns `, 1:05 left`, or nothing without an estimate. */
export function timeLeft(share: number, elapsedMs: number): string {
  if (elapsedMs < FIRST_ESTIMATE_MS || !(share > 0) || share === Number.POSITIVE_INFINITY) return '';
  const seconds = Math.max(0, Math.round((elapsedMs * (1 / share - 1)) / 1000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const padded = (value: number) => String(value).padStart(2, '0');
  return hours > 0 ? `, ${hours}:${padded(minutes)}:${padded(rest)} left` : `, ${minutes}:${padded(rest)} left`;
}
