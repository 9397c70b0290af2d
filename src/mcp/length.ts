/** Keeps answers short: an assistant's context has room for few characters, and pays for each. */

/** How many characters a row has of a prompt, and of a label; the longest that fit first. */
const ROOMS: Room[] = [
  [300, 40],
  [200, 40],
  [150, 40],
  [120, 40],
  [90, 30],
  [60, 20],
  [40, 15],
  [30, 10],
].map(([prompt, label]) => ({ prompt: prompt!, label: label! }));

const MAX_FAILURES = 10;
/** Of the budget of a list: 20 images have 4,700. */
export const CHARS_PER_IMAGE = 235;

export interface Room {
  prompt: number;
  label: number;
}

type Cell = string | number | boolean | Date | undefined;

/** As a table: names of fields would take half of it. */
export interface Rows {
  columns: string[];
  rows: Cell[][];
}

/** Shows by an ellipsis what was cut. */
export function cut(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  return `${text
    .slice(0, Math.max(0, maxChars - 1))
    .toWellFormed()
    .replace(/\uFFFD$/, '')}…`;
}

/** Returns the first of a list of failures, which may have as many as there were names, and the number of all others. */
export function firstOf<T>(failures: readonly T[]): (T | string)[] {
  const others = failures.length - MAX_FAILURES;
  return others > 0 ? [...failures.slice(0, MAX_FAILURES), `and ${others} more`] : [...failures];
}

/** The characters of an answer, which is JSON within the text of a message in JSON. */
export function charsOf(answer: object): number {
  return JSON.stringify(JSON.stringify(answer)).length;
}

/** Returns the rows of items with prompts as long as fit, or of the first items that fit with short ones. */
export function fittingRows<T>(
  items: readonly T[],
  rowOf: (item: T, room: Room) => Record<string, Cell>,
  maxChars: number,
): Rows {
  let table: Rows = { columns: [], rows: [] };
  for (const room of ROOMS) {
    table = tableOf(items.map((item) => rowOf(item, room)));
    if (charsOf(table) <= maxChars) return table;
  }
  while (table.rows.length > 1 && charsOf(table) > maxChars) table.rows.pop();
  return table;
}

/** Without the columns that are empty in each row. */
function tableOf(rows: Record<string, Cell>[]): Rows {
  const names = Object.keys(rows[0] ?? {});
  const columns = names.filter((name) => rows.some((row) => row[name] !== undefined && row[name] !== ''));
  return { columns, rows: rows.map((row) => columns.map((name) => row[name] ?? '')) };
}
