/** Folds the words of prompts and of queries alike, so that a search can compare them. */

/** Scripts written without spaces: each character, with its marks, is a word of its own. */
const UNSPACED =
  /([[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}]&&[\p{L}\p{N}]]\p{M}*)/gv;
const RUN = /[\p{L}\p{N}\p{M}]+/gu;
const ASCII = /^[\0-\x7f]*$/;

/** Returns the words of a prompt, folded, with a space before each. */
export function searchText(prompt: string): string {
  return ` ${runs(prompt).join(' ')}`;
}

/**
 * Returns the terms that must occur in a prompt: for each run of letters and digits of the query its folded words, of
 * which the last may be a prefix. Returns none for a query without letters and digits.
 */
export function searchTerms(query: string): string[] {
  return [...new Set(runs(query))];
}

/** Returns whether each term occurs in a prompt; agrees with `matchExpression`. */
export function matchesTerms(prompt: string, terms: readonly string[]): boolean {
  const text = searchText(prompt);
  return terms.every((term) => text.includes(` ${term}`));
}

/** Returns the terms as an FTS5 query: each a phrase whose last word is a prefix. */
export function matchExpression(terms: readonly string[]): string {
  return terms.map((term) => `"${term}" *`).join(' AND ');
}

function runs(text: string): string[] {
  // Most prompts are ASCII, which is several times faster.
  if (ASCII.test(text)) return text.toUpperCase().match(/[A-Z0-9]+/g) ?? [];
  return fold(text).match(RUN)?.map(wordsOf) ?? [];
}

/** Returns the words of a run with a space between them. */
function wordsOf(run: string): string {
  return run.replace(UNSPACED, ' $1 ').replace(/ +/g, ' ').trim();
}

/** Upper case is closer to case folding than lower case: ß is SS, and both small sigmas are one. */
export function fold(text: string): string {
  if (ASCII.test(text)) return text.toUpperCase();
  return text
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]+/g, '')
    .toUpperCase()
    .normalize('NFC');
}
