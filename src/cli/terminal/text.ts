/** Formats text for people: makes foreign text safe, measures columns, and writes amounts and times. */
import { once } from 'node:events';

const WIDE =
  /^[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
const ZERO_WIDTH = /^[\p{M}\p{Cf}]+$/u;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/**
 * Returns one line without control characters, escape sequences and marks that reorder text: a prompt must not control
 * the terminal.
 */
export function displayText(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .replace(/(?!\u200d)[\p{Cf}\p{Zl}\p{Zp}]/gu, '')
    .toWellFormed();
}

/** Returns the columns that the text takes in a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

/** Returns the text cut to `maxWidth` columns; a cut text ends in `…`. */
export function shorten(text: string, maxWidth: number): string {
  // A long text is measured only up to the cut, below.
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

/** Breaks the text between words into lines of at most `width` columns; a longer word has a line of its own. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line === '' || displayWidth(longer) <= width) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Returns `1.3 MB`: decimal units, as for disks. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** Returns `1 image`, `1,234 images`. */
export function countOf(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

/** Returns `2024-09-27 14:15:22`, in UTC. */
export function formatTime(time: Date): string {
  return time.toISOString().slice(0, 19).replace('T', ' ');
}

export async function printLine(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
}

/**
 * Returns the text with every character escaped as in JSON that controls a terminal, reorders text, breaks a line or is
 * invisible.
 */
export function escapeText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, escapedUnits).toWellFormed();
}

function escapedUnits(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}

/** Prints one JSON value per line, escaped so that no terminal obeys it; the value stays the same. */
export async function printJson(value: unknown): Promise<void> {
  await printLine(escapeText(JSON.stringify(value)));
}

/** Prints a line for people on stderr, with the program's name. */
export function printError(message: string): void {
  process.stderr.write(`image-storage: ${displayText(message)}\n`);
}
