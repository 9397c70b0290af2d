/** What people see: tables, byte sizes, a progress bar and a question, safe for text that others wrote. */
import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import type { WriteStream } from 'node:tty';

const WIDE =
  /^[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
const ZERO_WIDTH = /^[\p{M}\p{Cf}]+$/u;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** One line without control characters, escape sequences and marks that reorder text: a prompt must not drive a terminal. */
export function displayText(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .replace(/(?!\u200d)[\p{Cf}\p{Zl}\p{Zp}]/gu, '')
    .toWellFormed();
}

/** Columns that the text takes in a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

/** The text cut to so many columns, ending in `…` where something is missing. */
export function shorten(text: string, maxWidth: number): string {
  // A grapheme takes at most two columns and text is long: most of it need not be measured.
  if (text.length <= maxWidth && displayWidth(text) <= maxWidth) return text;
  let width = 0;
  let kept = '';
  for (const { segment } of graphemes.segment(text)) {
    const next = width + graphemeWidth(segment);
    if (next > maxWidth) return `${cutLast(kept, width, maxWidth)}…`;
    kept += segment;
    width = next;
  }
  return kept;
}

function cutLast(text: string, width: number, maxWidth: number): string {
  if (width < maxWidth) return text;
  const last = [...graphemes.segment(text)].at(-1);
  return last ? text.slice(0, last.index) : '';
}

function graphemeWidth(grapheme: string): number {
  if (ZERO_WIDTH.test(grapheme)) return 0;
  return WIDE.test(grapheme) ? 2 : 1;
}

export interface Column {
  title: string;
  align?: 'left' | 'right';
  /** Longer cells are shortened to so many columns. */
  maxWidth?: number;
  /** Takes what is left of the terminal's width; the last column only. */
  fill?: boolean;
}

const GAP = '  ';
const MIN_FILL_WIDTH = 20;

/**
 * Formats rows block by block, so that a long table need not be known whole: the title comes with the first block, and
 * columns only grow. `totalWidth` is that of the terminal; Infinity shortens nothing but columns with a maxWidth.
 */
export function tableFormatter(
  columns: readonly Column[],
  totalWidth: number,
): (rows: readonly string[][]) => string[] {
  const widths = columns.map(() => 0);
  let titled = false;
  return (rows) => {
    const cells = rows.map((row) =>
      row.map((cell, i) => shorten(displayText(cell), columns[i]!.maxWidth ?? Number.POSITIVE_INFINITY)),
    );
    if (!titled) cells.unshift(columns.map(({ title }) => title));
    titled = true;
    for (const row of cells)
      row.forEach((cell, i) => {
        widths[i] = Math.max(widths[i]!, displayWidth(cell));
      });
    return cells.map((row) => formatRow(row, columns, widths, totalWidth));
  };
}

function formatRow(row: string[], columns: readonly Column[], widths: number[], totalWidth: number): string {
  let line = '';
  let used = 0;
  row.forEach((cell, i) => {
    const { align, fill } = columns[i]!;
    const text = fill ? shorten(cell, Math.max(MIN_FILL_WIDTH, totalWidth - used)) : cell;
    const padding = fill ? '' : ' '.repeat(widths[i]! - displayWidth(text));
    line += (align === 'right' ? padding + text : text + padding) + GAP;
    used += widths[i]! + GAP.length;
  });
  return line.trimEnd();
}

/** The width of the terminal behind stdout; Infinity when there is none. */
export function terminalWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** `1.3 MB`: decimal units, as disks are sold. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `1 image`, `1,234 images`. */
export function countOf(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

/** `2024-09-27 14:15:22`, UTC. */
export function formatTime(time: Date): string {
  return time.toISOString().slice(0, 19).replace('T', ' ');
}

export async function printLine(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
}

/** One JSON value a line; characters that a terminal would obey are escaped, which changes nothing for a program. */
export async function printJson(value: unknown): Promise<void> {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  await printLine(JSON.stringify(value).replace(/[\u007f-\u009f]/g, escaped));
}

/** A line for people on stderr, in the command's name. */
export function printError(message: string): void {
  process.stderr.write(`image-storage: ${displayText(message)}\n`);
}

export interface Progress {
  /** So many bytes of this item are done. */
  set(item: string, doneBytes: number): void;
  /** Takes the bar away so that a line can be printed; the next `set` draws it again. */
  clear(): void;
}

const REDRAW_MS = 100;
const BAR_WIDTH = 24;

/** A bar over the bytes of all items; draws nothing where the stream is no terminal. */
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

/** Puts the line in the place of the last one, cut to the width: one that wraps could not be taken away again. */
export function redraw(stream: WriteStream, line: string): void {
  // Some terminals say that they have no columns.
  stream.write(`\r\x1b[K${shorten(line, (stream.columns || Number.POSITIVE_INFINITY) - 1)}`);
}

/** `[████······]  42%  1.3 MB of 3.1 MB`; without a known total, the bytes alone. */
export function progressLine(doneBytes: number, totalBytes: number): string {
  if (totalBytes === 0) return `sent ${formatBytes(doneBytes)}`;
  const share = Math.min(1, doneBytes / totalBytes);
  const bar = '█'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '·');
  return `[${bar}] ${String(Math.floor(share * 100)).padStart(3)}%  ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
}

/** Whether somebody is there to answer. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** Asks on stderr; only `y` and `yes` mean yes. */
export async function ask(question: string, signal?: AbortSignal): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // End of input is no answer, and no answer is no.
  const closed = once(terminal, 'close').then(() => '');
  try {
    const answer = await Promise.race([terminal.question(`${question} [y/N] `, { signal }), closed]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}
