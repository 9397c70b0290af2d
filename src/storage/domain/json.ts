/** Checks that a text is JSON without building what it says, in steps, so that a long one does not hold its thread. */

/** Pieces of a text that are passed over in a step: about a millisecond at most. */
const PIECES_A_STEP = 2048;

// Runs have an end, since one step takes a whole one.
const SPACE = /[ \t\n\r]{1,4096}/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in texts
const PLAIN = /[^"\\\x00-\x1f]{1,4096}/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

const [QUOTE, COMMA, COLON] = [0x22, 0x2c, 0x3a];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

export interface JsonLimits {
  maxDepth?: number;
  maxValues?: number;
  /** Returns what is wrong with a number that JSON allows. */
  problemOfNumber?(number: string): string | undefined;
}

/**
 * Yields between steps. Returns why the text is not one JSON object within the limits, or undefined where it is, and
 * JSON.parse would take it.
 */
export function* jsonObjectProblem(text: string, limits: JsonLimits = {}): Generator<void, string | undefined> {
  const scanner = new Scanner(text, limits);
  while (!scanner.pass(PIECES_A_STEP)) yield;
  return scanner.problem;
}

type Expected = 'value' | 'value or end' | 'key' | 'key or end' | 'text' | 'colon' | 'comma or end' | 'nothing';

const NO_OBJECT = 'must be one JSON object';

/** Goes through a text once; nothing is kept but the brackets that are open. */
class Scanner {
  readonly #text: string;
  readonly #limits: JsonLimits;
  readonly #closings: number[] = [];
  #at = 0;
  #expected: Expected = 'value';
  /** Whether the text that is passed over is a key. */
  #isKey = false;
  #values = 0;
  problem: string | undefined;

  constructor(text: string, limits: JsonLimits) {
    this.#text = text;
    this.#limits = limits;
  }

  /** Returns false while more than so many pieces are left. */
  pass(pieces: number): boolean {
    for (let left = pieces; left > 0; left -= 1) {
      if (this.#expected !== 'text' && this.#skip(SPACE)) continue;
      const next = this.#text.charCodeAt(this.#at);
      const isSound = this.#expected === 'nothing' ? Number.isNaN(next) : this.#pass(next);
      if (!isSound) this.problem ??= NO_OBJECT;
      if (this.problem !== undefined || (this.#expected === 'nothing' && Number.isNaN(next))) return true;
    }
    return false;
  }

  #pass(next: number): boolean {
    switch (this.#expected) {
      case 'text':
        return this.#passText(next);
      case 'colon':
        return next === COLON && this.#step('value');
      default:
        return this.#passToken(next);
    }
  }

  #passToken(next: number): boolean {
    switch (this.#expected) {
      case 'key or end':
        return next === CLOSE_OBJECT ? this.#close(next) : this.#beginText(next, true);
      case 'key':
        return this.#beginText(next, true);
      case 'comma or end':
        return next === COMMA ? this.#comma() : this.#close(next);
      case 'value or end':
        return next === CLOSE_ARRAY ? this.#close(next) : this.#passValue(next);
      default:
        return this.#passValue(next);
    }
  }

  #passValue(next: number): boolean {
    if (next === OPEN_OBJECT) return this.#open(CLOSE_OBJECT, 'key or end');
    if (this.#closings.length === 0) return false;
    if (next === OPEN_ARRAY) return this.#open(CLOSE_ARRAY, 'value or end');
    if (next === QUOTE) return this.#beginText(next, false);
    return (this.#skipNumber() || this.#skip(WORD)) && this.#ended();
  }

  #skipNumber(): boolean {
    const start = this.#at;
    if (!this.#skip(NUMBER)) return false;
    this.problem = this.#limits.problemOfNumber?.(this.#text.slice(start, this.#at));
    return true;
  }

  #open(closing: number, expected: Expected): boolean {
    this.#closings.push(closing);
    const { maxDepth = Number.POSITIVE_INFINITY } = this.#limits;
    if (this.#closings.length > maxDepth) this.problem = `is nested more than ${maxDepth} levels deep`;
    return this.#step(expected);
  }

  #close(next: number): boolean {
    if (this.#closings.pop() !== next) return false;
    this.#at += 1;
    return this.#ended();
  }

  #comma(): boolean {
    return this.#step(this.#closings.at(-1) === CLOSE_OBJECT ? 'key' : 'value');
  }

  #beginText(next: number, isKey: boolean): boolean {
    this.#isKey = isKey;
    return next === QUOTE && this.#step('text');
  }

  /** Passes over a run of plain characters, an escape, or the end. */
  #passText(next: number): boolean {
    if (next !== QUOTE) return this.#skip(PLAIN) || this.#skip(ESCAPE);
    if (this.#isKey) return this.#step('colon');
    this.#at += 1;
    return this.#ended();
  }

  /** Passes over one character. */
  #step(expected: Expected): boolean {
    this.#at += 1;
    this.#expected = expected;
    return true;
  }

  /** A value has ended. */
  #ended(): boolean {
    this.#values += 1;
    const { maxValues = Number.POSITIVE_INFINITY } = this.#limits;
    if (this.#values > maxValues) this.problem = `has more than ${maxValues.toLocaleString('en')} values`;
    this.#expected = this.#closings.length === 0 ? 'nothing' : 'comma or end';
    return true;
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }
}
