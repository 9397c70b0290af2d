/** Checks that searches find images that are known: an index may be blind although its file is sound. */
import type { ImageRecord } from '../domain/record.ts';
import type { ImageIndex } from './catalog.ts';
import { runsOf } from './search-text.ts';

/** The newest images are those that people search for. */
const LOOKED_AT = { limit: 50, maxBytes: 1024 * 1024 };
const SEARCHED = 3;
/** Neither a number nor, at this length, an operator of a query. */
const WORDLIKE = /\p{L}{3,}/u;

/** An image that a search by a word of its own prompt does not find. */
export interface UnfoundImage {
  record: ImageRecord;
  word: string;
}

/** Searches for words of the newest images. Returns the first image that is not found, or undefined. */
export async function unfoundImage(catalog: Pick<ImageIndex, 'find' | 'page'>): Promise<UnfoundImage | undefined> {
  const { records } = await catalog.page({ order: 'newest' }, LOOKED_AT);
  const known = records.flatMap((record) => {
    const word = wordOf(record.prompt);
    return word === undefined ? [] : [{ record, word }];
  });
  for (const image of known.slice(0, SEARCHED)) if (!(await isFound(catalog, image))) return image;
  return undefined;
}

/** Returns the first whole word: a part of one, as the letters of `1girl`, finds nothing. */
function wordOf(prompt: string): string | undefined {
  const words = runsOf(prompt).map((run) => run.replaceAll(' ', ''));
  return words.find((word) => WORDLIKE.test(word))?.toLowerCase();
}

async function isFound(catalog: Pick<ImageIndex, 'find' | 'page'>, { record, word }: UnfoundImage): Promise<boolean> {
  const { filename, timestamp } = record;
  const query = { query: word, start: timestamp, end: timestamp + 1, order: 'newest' } as const;
  const request = { after: { timestamp, filename, inclusive: true }, limit: 1, maxBytes: 0 };
  const [found] = (await catalog.page(query, request)).records;
  // Deleted since it was read.
  return found?.filename === filename || (await catalog.find(filename)) === undefined;
}
