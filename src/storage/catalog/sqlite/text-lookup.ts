/** Decides which terms of a query the text index looks up, by how many words begin as they do. */
import type { Connection } from './connection.ts';
import { PAUSE, Slice } from './pause.ts';

/** The most words of the index that one word of a query may stand for; the index keeps its place in each of them. */
const MAX_WORDS = 64;
/** A beginning of more words is looked up while these occur no more often: the index collects all of them first. */
const MAX_OCCURRENCES = 20_000;
/** The most terms that are looked up; long ones, which tend to be rare. */
const MAX_TERMS = 8;
/** A phrase is looked up by its beginning. */
const MAX_PHRASE_WORDS = 4;
const MAX_KNOWN = 1000;
const LAST = '\u{10ffff}';

/** Of the words that begin so: each once, by a search for the one after it. */
const WORDS = `
  WITH RECURSIVE words (word) AS (
    SELECT (SELECT term FROM prompt_words WHERE term >= ?1 LIMIT 1)
    UNION ALL
    SELECT (SELECT term FROM prompt_words WHERE term >= word || char(1) LIMIT 1) FROM words WHERE word < ?2
  )
  SELECT word FROM words WHERE word < ?2 LIMIT ${MAX_WORDS + 1}`;

export interface Lookup {
  /** What the index is asked, as an FTS5 query. */
  expression: string;
  /** The terms that the prompts found must still be tested for. */
  untested: string[];
}

/** Part of a term that the index can look up. */
interface Candidate {
  term: string;
  words: string[];
  /** Whether these are all words of the term, of which the last may be the beginning of one. */
  isWhole: boolean;
}

export class TextLookup {
  readonly #db: Connection;
  /** Beginnings that had too many words and occurrences, which are not counted again. */
  readonly #broad = new Set<string>();
  #hasWords = false;

  constructor(db: Connection) {
    this.#db = db;
  }

  /**
   * Returns what to look up for the terms and the words of fields; 'nothing' where no image can match, and undefined
   * where the index is of no use.
   */
  *find(
    terms: readonly string[],
    fields: readonly string[] = [],
  ): Generator<typeof PAUSE, Lookup | 'nothing' | undefined> {
    const parts = fields.map((word) => `"${word}"`);
    const tested = new Set<string>();
    let slice = new Slice();
    for (const candidate of candidatesOf(terms)) {
      const part = this.#expressionOf(candidate);
      if (part === 'nothing') return part;
      if (part !== undefined) parts.push(part);
      if (part !== undefined && candidate.isWhole) tested.add(candidate.term);
      if (!slice.isOver) continue;
      yield PAUSE;
      slice = new Slice();
    }
    if (parts.length === 0) return undefined;
    return { expression: parts.join(' AND '), untested: terms.filter((term) => !tested.has(term)) };
  }

  /** Returns undefined where the last word begins too many. */
  #expressionOf({ words, isWhole }: Candidate): string | 'nothing' | undefined {
    const phrase = words.join(' ');
    if (!isWhole) return `"${phrase}"`;
    const begun = words.at(-1)!;
    if (this.#broad.has(begun)) return undefined;
    const found = this.#wordsFrom(begun);
    if (found.length === 0) return 'nothing';
    const before = phrase.slice(0, -begun.length);
    if (found.length <= MAX_WORDS) return `(${found.map((word) => `"${before}${word}"`).join(' OR ')})`;
    if (this.#isRare(begun)) return `"${phrase}" *`;
    this.#remember(begun);
    return undefined;
  }

  #wordsFrom(begun: string): string[] {
    this.#createWords();
    const token = tokenOf(begun);
    return this.#db.all(WORDS, token, token + LAST).map(({ word }) => word as string);
  }

  /** Counts deleted images, too. */
  #isRare(begun: string): boolean {
    const token = tokenOf(begun);
    const sql = `SELECT count(*) FROM (SELECT 1 FROM prompt_words WHERE term >= ? AND term < ? LIMIT ${MAX_OCCURRENCES + 1})`;
    return (this.#db.value(sql, token, token + LAST) as number) <= MAX_OCCURRENCES;
  }

  #remember(begun: string): void {
    if (this.#broad.size === MAX_KNOWN) this.#broad.clear();
    this.#broad.add(begun);
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
    .slice(0, MAX_TERMS)
    .map((term) => {
      const words = term.split(' ', MAX_PHRASE_WORDS + 1);
      return { term, words: words.slice(0, MAX_PHRASE_WORDS), isWhole: words.length <= MAX_PHRASE_WORDS };
    });
}

/** Returns a word as the tokenizer of the index stores it. */
function tokenOf(word: string): string {
  return word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
