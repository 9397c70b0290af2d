/** Parses JSON in slices and up to a bound; numbers stay as they were written. */
import { ExactNumber, type Fields } from './fields.ts';

const MAX_DEPTH = 200;
/** The most fields of an object; a graph has one a node. */
const MAX_FIELDS = 5000;
/** How many values are parsed between two pauses. */
const VALUES_AT_ONCE = 5000;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORDS: [word: string, value: unknown][] = [
  ['true', true],
  ['false', false],
  ['null', null],
];
/** Python writes these for numbers; they become null. */
const NO_NUMBERS = ['NaN', 'Infinity', '-Infinity'];

type Container = { values: unknown[]; fields?: undefined } | ObjectContainer;
interface ObjectContainer {
  fields: Fields;
  key: string;
  count: number;
  values?: undefined;
}

/** How many values may still be parsed. */
export interface Budget {
  values: number;
}

export interface ParsedJson {
  value: unknown;
  /** The text, as JSON in any case. */
  json: string;
}

/**
 * Pauses between slices. Throws a SyntaxError for text that is not JSON, is nested too deep, has an object of too many
 * fields, or has more values than the budget, which is reduced by those that were parsed.
 */
export function* parseJson(text: string, budget: Budget): Generator<void, ParsedJson> {
  const parser = new JsonParser(text, budget);
  const value = yield* parser.parse();
  return { value, json: parser.json };
}

class JsonParser {
  readonly #text: string;
  readonly #budget: Budget;
  readonly #containers: Container[] = [];
  #at = 0;
  /** The text up to the last word that is not JSON. */
  #rewritten = '';
  #rewrittenTo = 0;

  constructor(text: string, budget: Budget) {
    this.#text = text;
    this.#budget = budget;
  }

  get json(): string {
    return this.#rewritten + this.#text.slice(this.#rewrittenTo);
  }

  *parse(): Generator<void, unknown> {
    for (;;) {
      this.#budget.values -= 1;
      if (this.#budget.values < 0) throw new SyntaxError('too many values');
      if (this.#budget.values % VALUES_AT_ONCE === 0) yield;
      let value = this.#begin();
      if (value === BEGUN) continue;
      for (;;) {
        const around = this.#containers.at(-1);
        if (around === undefined) {
          if (this.#next() !== '') throw this.#unexpected();
          return value;
        }
        add(around, value);
        if (this.#takes(',')) {
          if (around.fields !== undefined) around.key = this.#key();
          break;
        }
        if (!this.#takes(around.values === undefined ? '}' : ']')) throw this.#unexpected();
        this.#containers.pop();
        value = around.values ?? around.fields;
      }
    }
  }

  /** Returns a value, or BEGUN when a container begins that is not empty. */
  #begin(): unknown {
    switch (this.#next()) {
      case '"':
        return this.#string();
      case '{':
        this.#at += 1;
        return this.#takes('}') ? {} : this.#open({ fields: {}, key: this.#key(), count: 0 });
      case '[':
        this.#at += 1;
        return this.#takes(']') ? [] : this.#open({ values: [] });
      default:
        return this.#scalar();
    }
  }

  #open(container: Container): typeof BEGUN {
    if (this.#containers.push(container) > MAX_DEPTH) throw new SyntaxError('nested too deep');
    return BEGUN;
  }

  #key(): string {
    if (this.#next() !== '"') throw this.#unexpected();
    const key = this.#string();
    if (!this.#takes(':')) throw this.#unexpected();
    return key;
  }

  #string(): string {
    const begin = this.#at;
    let isEscaped = false;
    for (let at = begin + 1; ; at += 1) {
      const code = this.#text.charCodeAt(at);
      if (code === 0x22) {
        this.#at = at + 1;
        break;
      }
      // NaN at the end of the text.
      if (!(code >= 0x20)) throw this.#unexpected();
      if (code !== 0x5c) continue;
      isEscaped = true;
      at += 1;
    }
    return isEscaped ? JSON.parse(this.#text.slice(begin, this.#at)) : this.#text.slice(begin + 1, this.#at - 1);
  }

  #scalar(): unknown {
    const known = WORDS.find(([word]) => this.#text.startsWith(word, this.#at));
    if (known !== undefined) {
      this.#at += known[0].length;
      return known[1];
    }
    const noNumber = NO_NUMBERS.find((word) => this.#text.startsWith(word, this.#at));
    if (noNumber !== undefined) return this.#rewrite(noNumber);
    NUMBER.lastIndex = this.#at;
    const number = NUMBER.exec(this.#text)?.[0];
    if (number === undefined) throw this.#unexpected();
    this.#at += number.length;
    return new ExactNumber(number);
  }

  #rewrite(word: string): null {
    this.#rewritten += `${this.#text.slice(this.#rewrittenTo, this.#at)}null`;
    this.#at += word.length;
    this.#rewrittenTo = this.#at;
    return null;
  }

  /** Skips white space. Returns the next character, or nothing at the end. */
  #next(): string {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return this.#text.charAt(this.#at);
      this.#at += 1;
    }
  }

  #takes(character: string): boolean {
    if (this.#next() !== character) return false;
    this.#at += 1;
    return true;
  }

  #unexpected(): SyntaxError {
    return new SyntaxError(`unexpected character at ${this.#at}`);
  }
}

const BEGUN = Symbol('begun');

function add(container: Container, value: unknown): void {
  if (container.values !== undefined) container.values.push(value);
  else addField(container, value);
}

function addField(container: ObjectContainer, value: unknown): void {
  container.count += 1;
  if (container.count > MAX_FIELDS) throw new SyntaxError('too many fields');
  if (container.key !== '__proto__') container.fields[container.key] = value;
}
