/** Decides which terms of a query the text index looks up, by how much of the index it would read for them. */
import { matchExpression } from '../search-text.ts';
import type { Connection, Fragment } from './connection.ts';
import { PAUSE, Slice } from './pause.ts';

/** At most this many images are looked up and sorted; for more an index is walked in order and each image tested. */
export const RARE_IMAGES = 5000;
/** The most occurrences of words that one statement reads: the text index collects those of a prefix before it answers. */
const MAX_OCCURRENCES = 200_000;
/** The most words that are counted for a query; long ones first, which tend to be rare. */
const MAX_COUNTED_WORDS = 8;
/** A phrase is looked up by its beginning. */
const MAX_PHRASE_WORDS = 4;
/** A word so rare that no other is worth counting. */
const FEW_OCCURRENCES = 200;
const MAX_KNOWN = 1000;

export interface Lookup {
  /** The images that have the terms that were looked up. */
  scope: Fragment;
  /** The terms that their prompts must still be tested for. */
  untested: string[];
}

/** Part of a term that the index can look up. */
interface Candidate {
  term: string;
  words: string[];
  /** Whether these are all words of the term, of which the last may be the beginning of one. */
  isWhole: boolean;
}

interface Counted extends Candidate {
  /** An upper bound on its images. */
  images: number;
  /** What reading it costs. */
  occurrences: number;
}

export class TextLookup {
  readonly #db: Connection;
  /** Words and expressions that had many results, which are not counted again. */
  readonly #frequent = new Map<string, number>();
  #hasWords = false;

  constructor(db: Connection) {
    this.#db = db;
  }

  /** Returns undefined when the terms have many images, or so many occurrences that a walk is cheaper. */
  *find(terms: readonly string[]): Generator<typeof PAUSE, Lookup | undefined> {
    const chosen = cheapest(yield* this.#count(terms));
    if (chosen.length === 0) return undefined;
    const expression = expressionOf(chosen);
    if (chosen[0]!.images > RARE_IMAGES && this.#isFrequent(expression)) return undefined;
    const tested = new Set(chosen.filter(({ isWhole }) => isWhole).map(({ term }) => term));
    return {
      scope: { sql: 'seq IN (SELECT rowid FROM prompts WHERE prompts MATCH ?)', values: [expression] },
      untested: terms.filter((term) => !tested.has(term)),
    };
  }

  /** Returns the candidates whose occurrences are within the bound. */
  *#count(terms: readonly string[]): Generator<typeof PAUSE, Counted[]> {
    const counted: Counted[] = [];
    let slice = new Slice();
    let words = 0;
    for (const candidate of candidatesOf(terms)) {
      if (words >= MAX_COUNTED_WORDS) break;
      const counts: number[] = [];
      for (const [at, word] of candidate.words.entries()) {
        const isPrefix = candidate.isWhole && at === candidate.words.length - 1;
        counts.push(this.#occurrencesOf(word, isPrefix));
        words += 1;
        if (!slice.isOver) continue;
        yield PAUSE;
        slice = new Slice();
      }
      const [images, occurrences] = [Math.min(...counts), counts.reduce((sum, count) => sum + count, 0)];
      if (occurrences <= MAX_OCCURRENCES) counted.push({ ...candidate, images, occurrences });
      if (images <= FEW_OCCURRENCES) break;
    }
    return counted;
  }

  /** Returns how often a word occurs, up to one above the bound. Counts deleted images, too. */
  #occurrencesOf(word: string, isPrefix: boolean): number {
    const key = isPrefix ? `${word}*` : word;
    const known = this.#frequent.get(key);
    if (known !== undefined) return known;
    this.#createWords();
    const token = tokenOf(word);
    const [test, values] = isPrefix
      ? ['term >= ? AND term < ?', [token, `${token}\u{10ffff}`]]
      : (['term = ?', [token]] as const);
    const sql = `SELECT count(*) FROM (SELECT 1 FROM prompt_words WHERE ${test} LIMIT ${MAX_OCCURRENCES + 1})`;
    const count = this.#db.value(sql, ...values) as number;
    if (count > RARE_IMAGES) this.#remember(key, count);
    return count;
  }

  #isFrequent(expression: string): boolean {
    if (this.#frequent.has(expression)) return true;
    const sql = `SELECT count(*) FROM (SELECT 1 FROM prompts WHERE prompts MATCH ? LIMIT ${RARE_IMAGES + 1})`;
    const count = this.#db.value(sql, expression) as number;
    if (count > RARE_IMAGES) this.#remember(expression, count);
    return count > RARE_IMAGES;
  }

  #remember(key: string, count: number): void {
    if (this.#frequent.size === MAX_KNOWN) this.#frequent.clear();
    this.#frequent.set(key, count);
  }

  /** The occurrences of the words in the text index, in the memory of this connection. */
  #createWords(): void {
    if (this.#hasWords) return;
    this.#db.exec("CREATE VIRTUAL TABLE IF NOT EXISTS temp.prompt_words USING fts5vocab(main, 'prompts', 'instance')");
    this.#hasWords = true;
  }
}

function candidatesOf(terms: readonly string[]): Candidate[] {
  return terms
    .toSorted((a, b) => b.length - a.length)
    .slice(0, MAX_COUNTED_WORDS)
    .map((term) => {
      const words = term.split(' ', MAX_PHRASE_WORDS + 1);
      return { term, words: words.slice(0, MAX_PHRASE_WORDS), isWhole: words.length <= MAX_PHRASE_WORDS };
    });
}

/** Returns the rarest of them that are within the bound together, the rarest first. */
function cheapest(counted: Counted[]): Counted[] {
  const chosen: Counted[] = [];
  let left = MAX_OCCURRENCES;
  for (const candidate of counted.toSorted((a, b) => a.images - b.images)) {
    left -= candidate.occurrences;
    if (left < 0) break;
    chosen.push(candidate);
  }
  return chosen;
}

function expressionOf(candidates: Candidate[]): string {
  const expressions = candidates.map(({ term, words, isWhole }) =>
    isWhole ? matchExpression([term]) : `"${words.join(' ')}"`,
  );
  return expressions.join(' AND ');
}

/** Returns a word as the tokenizer of the index stores it. */
function tokenOf(word: string): string {
  return word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
