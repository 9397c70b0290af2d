/** Takes the line of settings apart that A1111 writes: names and values, of which some are quoted and some are JSON. */
import { endOfValue } from '../domain/json-fields.ts';
import { type ExactNumber, settingOf } from './fields.ts';
import { parseJson } from './json.ts';

const NAME = /(\w[\w \-/.]{0,60}): */y;
const SEPARATORS = /[ ,]*/y;
/** The values of the JSON in a line. */
const MAX_VALUES = 5000;
/** The most settings; extensions add some dozens. */
const MAX_SETTINGS = 500;

/** Yields the settings, with names in snake case as other generators have them. */
export function* eachSetting(line: string): Generator<[name: string, value: unknown]> {
  const reader = new ValueReader(line);
  let at = 0;
  for (let left = MAX_SETTINGS; left > 0 && at < line.length; left -= 1) {
    SEPARATORS.lastIndex = at;
    SEPARATORS.test(line);
    at = SEPARATORS.lastIndex;
    NAME.lastIndex = at;
    const [start, name] = NAME.exec(line) ?? [];
    if (name === undefined) {
      // What is no setting ends at the next comma.
      at = endOfPlain(line, at) + 1;
      continue;
    }
    const { value, end } = reader.read(name, at + start!.length);
    yield [name.toLowerCase().replace(/\W+/g, '_'), value];
    at = end;
  }
}

class ValueReader {
  readonly #line: string;
  readonly #budget = { values: MAX_VALUES };
  /** How much may still be searched for the end of a quotation or of JSON. */
  #charsLeft: number;

  constructor(line: string) {
    this.#line = line;
    this.#charsLeft = 2 * line.length;
  }

  read(name: string, at: number): { value: unknown; end: number } {
    return this.#readEnclosed(at) ?? this.#readPlain(name, at);
  }

  #readEnclosed(at: number): { value: unknown; end: number } | undefined {
    const first = this.#line.charAt(at);
    if (!'"[{'.includes(first) || first === '' || this.#charsLeft < 0) return undefined;
    const end = endOfValue(this.#line, at);
    this.#charsLeft -= end - at;
    if (!/^ *(,|$)/.test(this.#line.slice(end, end + 4))) return undefined;
    const text = this.#line.slice(at, end);
    const value = first === '"' ? unquoted(text) : jsonOf(text, this.#budget);
    return value === undefined ? undefined : { value, end };
  }

  /** A hash is text, even when it has digits only. */
  #readPlain(name: string, at: number): { value: string | ExactNumber; end: number } {
    const end = endOfPlain(this.#line, at);
    const text = this.#line.slice(at, end).trim();
    return { value: /hash/i.test(name) ? text : settingOf(text), end };
  }
}

function endOfPlain(line: string, at: number): number {
  const end = line.indexOf(',', at);
  return end === -1 ? line.length : end;
}

function unquoted(text: string): string | undefined {
  try {
    return String(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Returns lists as values, and what is one object as it was written. */
function jsonOf(text: string, budget: { values: number }): unknown {
  try {
    const steps = parseJson(text, budget);
    let step = steps.next();
    while (!step.done) step = steps.next();
    return text.startsWith('[') ? step.value.value : text;
  } catch {
    return undefined;
  }
}
