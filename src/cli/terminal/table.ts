/** Formats tables in the width of the terminal. */
import { displayText, displayWidth, shorten } from './text.ts';

export interface Column {
  title: string;
  align?: 'left' | 'right';
  /** Longer cells are shortened to this many columns. */
  maxWidth?: number;
  /** Takes the rest of the terminal's width; the last column only. */
  fill?: boolean;
}

const GAP = '  ';

/**
 * Formats rows block by block, so that a long table need not be in memory: the first block includes the titles, and
 * columns only grow.
 */
export type TableFormatter = (rows: readonly string[][]) => string[];

/** `totalWidth` is that of the terminal, which no line exceeds; Infinity shortens only columns with a maxWidth. */
export function tableFormatter(columns: readonly Column[], totalWidth: number): TableFormatter {
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

/** As `tableFormatter`, with the last column on a line of its own, which is left out where it is empty. */
export function twoLineFormatter(columns: readonly Column[], totalWidth: number): TableFormatter {
  const format = tableFormatter(columns.slice(0, -1), totalWidth);
  let titled = false;
  return (rows) => {
    const lines = format(rows.map((row) => row.slice(0, -1)));
    const lasts = rows.map((row) => shorten(displayText(row.at(-1)!), Math.max(0, totalWidth - GAP.length)));
    if (!titled) lasts.unshift('');
    titled = true;
    return lines.flatMap((line, i) => (lasts[i] === '' ? [line] : [line, GAP + lasts[i]]));
  };
}

function formatRow(row: string[], columns: readonly Column[], widths: number[], totalWidth: number): string {
  let line = '';
  let used = 0;
  row.forEach((cell, i) => {
    const { align, fill } = columns[i]!;
    const text = fill ? shorten(cell, Math.max(0, totalWidth - used)) : cell;
    const padding = fill ? '' : ' '.repeat(widths[i]! - displayWidth(text));
    line += (align === 'right' ? padding + text : text + padding) + GAP;
    used += widths[i]! + GAP.length;
  });
  return shorten(line.trimEnd(), totalWidth);
}

/** Returns the width of the terminal on stdout; Infinity without one. */
export function terminalWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
}
