/** Prints images as a table for people, in blocks, so that a long list need not be in memory. */
import type { Image } from '../../client.ts';
import {
  type Column,
  type TableFormatter,
  tableFormatter,
  terminalWidth,
  twoLineFormatter,
} from '../terminal/table.ts';
import { formatBytes, printLine } from '../terminal/text.ts';
import { shortIdOf } from './image-names.ts';

/** The most rows of a table where no limit is given; 0 is all. */
export const DEFAULT_TABLE_LIMIT = 50;
/** Rows that are aligned together; columns of a longer list may still grow. */
const BLOCK_ROWS = 100;
/** A narrower terminal has two lines for each image. */
const ONE_LINE_WIDTH = 80;
/** A narrower terminal shows the short id, which commands take as they take the filename. */
const FILENAME_WIDTH = 160;

export interface ImageColumn<T extends Image> extends Column {
  cell(image: T): string;
  /** A narrower terminal has no room for it. */
  fromWidth?: number;
  /** A wider terminal has room for another. */
  belowWidth?: number;
}

/** What every table of images ends with but for the prompt, which takes the rest. */
export const IMAGE_COLUMNS: readonly ImageColumn<Image>[] = [
  { title: 'SIZE', align: 'right', fromWidth: 100, cell: ({ size }) => formatBytes(size) },
  { title: 'PIXELS', align: 'right', fromWidth: 120, cell: ({ width, height }) => `${width}×${height}` },
  { title: 'MODEL', maxWidth: 18, belowWidth: FILENAME_WIDTH, cell: ({ metadata }) => metadata.model },
  { title: 'MODEL', maxWidth: 24, fromWidth: FILENAME_WIDTH, cell: ({ metadata }) => metadata.model },
  { title: 'ID', maxWidth: 12, belowWidth: FILENAME_WIDTH, cell: ({ filename }) => shortIdOf(filename) },
  { title: 'FILENAME', fromWidth: FILENAME_WIDTH, cell: ({ filename }) => filename },
];

export interface ImageTable<T extends Image> {
  /** The last one takes the rest of the width, or a line of its own. */
  columns: readonly ImageColumn<T>[];
  /** The most rows; 0 is all. */
  limit: number;
  /** Also names the provider of each image. */
  overAll: boolean;
}

/** Returns the limit of a list of which a table shows `limit`: one more, to know whether there are more. */
export function limitBeyond(limit: number): number {
  return limit && limit + 1;
}

/** Prints the images up to the limit. Returns how many there were; more than the limit where others follow. */
export async function printTable<T extends Image>(
  images: AsyncIterable<T>,
  { columns, limit, overAll }: ImageTable<T>,
): Promise<number> {
  const width = terminalWidth();
  const shown = columnsIn(width, columns, overAll);
  const format = formatterIn(width, shown);
  const print = async (block: T[]) => {
    const rows = block.map((image) => shown.map(({ cell }) => cell(image)));
    for (const line of format(rows)) await printLine(line);
  };
  let block: T[] = [];
  let listed = 0;
  for await (const image of images) {
    listed += 1;
    if (limit > 0 && listed > limit) break;
    block.push(image);
    if (block.length < BLOCK_ROWS) continue;
    await print(block);
    block = [];
  }
  if (block.length > 0) await print(block);
  return listed;
}

function columnsIn<T extends Image>(
  width: number,
  columns: readonly ImageColumn<T>[],
  overAll: boolean,
): ImageColumn<T>[] {
  const provider = { title: 'PROVIDER', maxWidth: 12, cell: (image: T) => image.provider };
  const fitting = columns.filter(
    ({ fromWidth = 0, belowWidth }) => width >= fromWidth && (belowWidth === undefined || width < belowWidth),
  );
  return overAll ? [provider, ...fitting] : fitting;
}

function formatterIn(width: number, columns: readonly Column[]): TableFormatter {
  return width < ONE_LINE_WIDTH ? twoLineFormatter(columns, width) : tableFormatter(columns, width);
}
