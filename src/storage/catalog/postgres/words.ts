/** The words of an image as Postgres keeps them, and the queries that look them up. */
import { indexedText, type Searched } from '../search-fields.ts';

/** Longer words are cut, in images and queries alike. */
export const MAX_WORD_CHARS = 60;
/** Postgres keeps a megabyte of words at most. */
const MAX_WORDS_BYTES = 256 * 1024;
/** What an image has instead of words that are too many: no word is like it. */
export const TOO_MANY = '·+';

/** Returns the words of an image as the text of a `tsvector`, and whether some are left out. */
export function lexemesOf(image: Searched): { words: string; isCut: boolean } {
  const words = [...new Set(indexedText(image).split(' ').filter(Boolean).map(cut))].join(' ');
  const isCut = Buffer.byteLength(words) >= MAX_WORDS_BYTES;
  // No word has a space: all are quoted at once.
  return { words: isCut ? lexeme(TOO_MANY) : lexeme(words).replaceAll(' ', "' '"), isCut };
}

export function isCut(word: string): boolean {
  return word.length >= MAX_WORD_CHARS;
}

/** Returns what looks up a word, or with `isOpen` the words that begin so. */
export function wordQuery(word: string, isOpen = false): string {
  return `${lexeme(cut(word))}${isOpen ? ':*' : ''}`;
}

function cut(word: string): string {
  // No half of a character.
  return word.length <= MAX_WORD_CHARS ? word : word.slice(0, MAX_WORD_CHARS).replace(/[\ud800-\udbff]$/, '');
}

function lexeme(word: string): string {
  return `'${word.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
