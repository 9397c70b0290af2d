/** Prints images as a table for people, in blocks, so that a long list need not be in memory. */
import type { Image } from '../../client.ts';
import { type Column, tableFormatter, terminalWidth } from '../terminal/table.ts';
import { printLine } from '../terminal/text.ts';

/** The most rows of a table where no limit is given; 0 is all. */
export const DEFAULT_TABLE_LIMIT = 50;
/** Rows that are aligned together; columns of a longer list may still grow. */
const BLOCK_ROWS = 100;

export interface ImageTable<T extends Image> {
  columns: Column[];
  rowOf(image: T): string[];
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
  { columns, rowOf, limit, overAll }: ImageTable<T>,
): Promise<number> {
  const format = tableFormatter(overAll ? [{ title: 'PROVIDER' }, ...columns] : columns, terminalWidth());
  const print = async (block: T[]) => {
    const rows = block.map((image) => (overAll ? [image.provider, ...rowOf(image)] : rowOf(image)));
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
