/** Translates the condition of a query for the text index, as far as that costs little. */
import { markOf, SHA256_DIGITS, TYPES } from '../search-fields.ts';
import type { Condition, Term } from '../search-query.ts';
import type { Connection } from './connection.ts';
import { PAUSE, Slice } from './pause.ts';

/** The most words of the index that one word of a query may stand for; the index keeps its place in each of them. */
const MAX_WORDS = 64;
/** A beginning of more words is looked up while these occur no more often: the index collects all of them first. */
const MAX_OCCURRENCES = 20_000;
/** The most parts of a condition that are looked up where all must hold; long ones, which tend to be rare. */
const MAX_PARTS = 8;
/** The most terms that are looked up, those of alternatives and of what must not be included. */
const MAX_TERMS = 24;
/** A phrase is looked up by its beginning. */
const MAX_PHRASE_WORDS = 4;
const MAX_KNOWN = 1000;
const LAST = '\u{10ffff}';

/** Of the words from one to before another: each once, by a search for the one after it. */
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
  /** False: the images found must still be tested. */
  isExact: boolean;
}

/**
 * Where the images that fulfil a condition are: within those that an expression finds, or without. An exact one has no
 * others. `any`: the index cannot tell.
 */
type Bound =
  | { kind: 'within' | 'without'; expression: string; isExact: boolean }
  | { kind: 'any'; isExact: boolean }
  | { kind: 'none' };

const UNKNOWN: Bound = { kind: 'any', isExact: false };
const NONE: Bound = { kind: 'none' };
/** Finds every image. */
const EVERY = anyOf(TYPES.map((type) => quoted(markOf('type'), [type])));

export class TextLookup {
  readonly #db: Connection;
  /** Beginnings that had too many words and occurrences, which are not counted again. */
  readonly #broad = new Set<string>();
  #hasWords = false;

  constructor(db: Connection) {
    this.#db = db;
  }

  /**
   * Returns what to look up for a condition and the words of filters; 'nothing' where no image can match, and undefined
   * where the index is of no use.
   */
  *find(
    condition: Condition,
    filters: readonly string[] = [],
  ): Generator<typeof PAUSE, Lookup | 'nothing' | undefined> {
    const bound = yield* new Translation((term) => this.#boundOf(term)).boundOf(condition);
    if (bound.kind === 'none') return 'nothing';
    const parts = filters.map((word) => `"${word}"`);
    if (bound.kind === 'within') parts.push(bound.expression);
    if (bound.kind === 'without' && parts.length === 0) parts.push(EVERY);
    if (parts.length === 0) return undefined;
    const expression = allOf(parts);
    return {
      expression: bound.kind === 'without' ? difference(expression, bound.expression) : expression,
      isExact: bound.isExact,
    };
  }

  #boundOf(term: Term): Bound {
    switch (term.kind) {
      case 'words':
        return this.#wordsBound(term);
      case 'range':
        return this.#rangeBound(term);
      case 'sha256': {
        const expression = quoted(markOf('sha256'), [term.digits.slice(0, SHA256_DIGITS)]);
        return { kind: 'within', expression, isExact: term.digits.length === SHA256_DIGITS };
      }
      case 'time':
        return UNKNOWN;
    }
  }

  #wordsBound({ field, words, isOpen }: Term & { kind: 'words' }): Bound {
    const mark = markOf(field);
    if (words.length > MAX_PHRASE_WORDS) return within(quoted(mark, words.slice(0, MAX_PHRASE_WORDS)), false);
    if (!isOpen) return within(quoted(mark, words));
    const [before, begun] = [words.slice(0, -1), words.at(-1)!];
    const token = tokenOf(mark + begun);
    const found = this.#broad.has(token) ? undefined : this.#wordsBetween(token, token + LAST);
    if (found?.length === 0) return NONE;
    if (found !== undefined && found.length <= MAX_WORDS) {
      const start = before.map((word) => `${mark}${word} `).join('');
      return within(anyOf(found.map((word) => `"${start}${word}"`)));
    }
    if (found !== undefined && this.#isRare(token)) return within(`${quoted(mark, words)} *`);
    this.#remember(token);
    return before.length === 0 ? UNKNOWN : within(quoted(mark, before), false);
  }

  #rangeBound({ field, from, to }: Term & { kind: 'range' }): Bound {
    const mark = markOf(field);
    const found = this.#wordsBetween(tokenOf(mark + from), `${tokenOf(mark + to)}\u0001`);
    if (found.length === 0) return NONE;
    return found.length > MAX_WORDS ? UNKNOWN : within(anyOf(found.map((word) => `"${word}"`)));
  }

  #wordsBetween(from: string, before: string): string[] {
    this.#createWords();
    return this.#db.all(WORDS, from, before).map(({ word }) => word as string);
  }

  /** Counts deleted images, too. */
  #isRare(token: string): boolean {
    const sql = `SELECT count(*) FROM (SELECT 1 FROM prompt_words WHERE term >= ? AND term < ? LIMIT ${MAX_OCCURRENCES + 1})`;
    return (this.#db.value(sql, token, token + LAST) as number) <= MAX_OCCURRENCES;
  }

  #remember(token: string): void {
    if (this.#broad.size === MAX_KNOWN) this.#broad.clear();
    this.#broad.add(token);
  }

  /** The occurrences of the words in the text index, in the memory of this connection. */
  #createWords(): void {
    if (this.#hasWords) return;
    this.#db.exec("CREATE VIRTUAL TABLE IF NOT EXISTS temp.prompt_words USING fts5vocab(main, 'prompts', 'instance')");
    this.#hasWords = true;
  }
}

/** Translates one condition. */
class Translation {
  readonly #lookUp: (term: Term) => Bound;
  #left = MAX_TERMS;
  #slice = new Slice();

  constructor(lookUp: (term: Term) => Bound) {
    this.#lookUp = lookUp;
  }

  *boundOf(condition: Condition): Generator<typeof PAUSE, Bound> {
    switch (condition.kind) {
      case 'not':
        return complementOf(yield* this.boundOf(condition.of));
      case 'all':
        return intersectionOf(yield* this.#boundsOf(mostTelling(condition.of)), condition.of.length);
      case 'any':
        // Some of the alternatives alone tell nothing.
        return termsOf(condition) > this.#left ? UNKNOWN : unionOf(yield* this.#boundsOf(condition.of));
      default:
        return yield* this.#lookedUp(condition);
    }
  }

  *#boundsOf(conditions: readonly Condition[]): Generator<typeof PAUSE, Bound[]> {
    const bounds: Bound[] = [];
    for (const condition of conditions) bounds.push(yield* this.boundOf(condition));
    return bounds;
  }

  *#lookedUp(term: Term): Generator<typeof PAUSE, Bound> {
    if (this.#left === 0) return UNKNOWN;
    this.#left -= 1;
    const bound = this.#lookUp(term);
    if (this.#slice.isOver) {
      yield PAUSE;
      this.#slice = new Slice();
    }
    return bound;
  }
}

/** Returns the longest parts, first those that must hold. */
function mostTelling(conditions: readonly Condition[]): Condition[] {
  const longestFirst = conditions.toSorted((a, b) => lengthOf(b) - lengthOf(a));
  const isNegative = ({ kind }: Condition) => kind === 'not';
  return [
    ...longestFirst.filter((condition) => !isNegative(condition)).slice(0, MAX_PARTS),
    ...longestFirst.filter(isNegative).slice(0, MAX_PARTS),
  ];
}

function lengthOf(condition: Condition): number {
  switch (condition.kind) {
    case 'words':
      return condition.words.join(' ').length;
    case 'not':
      return lengthOf(condition.of);
    case 'all':
      return condition.of.reduce((longest, part) => Math.max(longest, lengthOf(part)), 0);
    case 'any':
      return condition.of.reduce((shortest, part) => Math.min(shortest, lengthOf(part)), Number.POSITIVE_INFINITY);
    case 'sha256':
      return condition.digits.length;
    default:
      return 0;
  }
}

function termsOf(condition: Condition): number {
  if (condition.kind === 'not') return termsOf(condition.of);
  if (condition.kind !== 'all' && condition.kind !== 'any') return 1;
  return condition.of.reduce((count, part) => count + termsOf(part), 0);
}

/** `count` is the number of parts, of which some may have no bound. */
function intersectionOf(bounds: readonly Bound[], count: number): Bound {
  if (bounds.some(({ kind }) => kind === 'none')) return NONE;
  const isExact = bounds.length === count && bounds.every((bound) => bound.kind === 'none' || bound.isExact);
  const [inside, outside] = [expressionsOf(bounds, 'within'), expressionsOf(bounds, 'without')];
  if (inside.length === 0 && outside.length === 0) return { kind: 'any', isExact };
  if (inside.length === 0) return { kind: 'without', expression: anyOf(outside), isExact };
  const expression = allOf(inside);
  return within(outside.length === 0 ? expression : difference(expression, anyOf(outside)), isExact);
}

function unionOf(bounds: readonly Bound[]): Bound {
  const possible = bounds.filter((bound) => bound.kind !== 'none');
  const all = possible.filter(({ kind }) => kind === 'any');
  if (all.length > 0) return { kind: 'any', isExact: all.some(({ isExact }) => isExact) };
  if (possible.length === 0) return NONE;
  const isExact = possible.every((bound) => bound.isExact);
  const [inside, outside] = [expressionsOf(possible, 'within'), expressionsOf(possible, 'without')];
  if (outside.length === 0) return within(anyOf(inside), isExact);
  const expression = allOf(outside);
  return {
    kind: 'without',
    expression: inside.length === 0 ? expression : difference(expression, anyOf(inside)),
    isExact,
  };
}

/** What is outside of more than needed says nothing of the rest. */
function complementOf(bound: Bound): Bound {
  if (bound.kind === 'none') return { kind: 'any', isExact: true };
  if (!bound.isExact) return UNKNOWN;
  if (bound.kind === 'any') return NONE;
  return { ...bound, kind: bound.kind === 'within' ? 'without' : 'within' };
}

function expressionsOf(bounds: readonly Bound[], kind: 'within' | 'without'): string[] {
  return bounds.flatMap((bound) => (bound.kind === kind ? [bound.expression] : []));
}

function within(expression: string, isExact = true): Bound {
  return { kind: 'within', expression, isExact };
}

function anyOf(expressions: readonly string[]): string {
  return `(${expressions.map(grouped).join(' OR ')})`;
}

function allOf(expressions: readonly string[]): string {
  return expressions.join(' AND ');
}

function difference(expression: string, without: string): string {
  return `(${grouped(expression)} NOT ${grouped(without)})`;
}

/** Requires that the expression is a single phrase, in parentheses, or several joined by AND. */
function grouped(expression: string): string {
  return expression.includes(' AND ') ? `(${expression})` : expression;
}

function quoted(mark: string, words: readonly string[]): string {
  return `"${words.map((word) => mark + word).join(' ')}"`;
}

/** Returns a word as the tokenizer of the index stores it. */
function tokenOf(word: string): string {
  return word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
