/** Converts generation parameters to JSON text and back, with integers beyond 2^53 exact (seeds are 64-bit). */

import { jsonObjectProblem } from './json.ts';
import { endOfString } from './json-fields.ts';

/** .NET reads 64 levels by default, Rust's serde_json 127, PHP 512, Jackson and Python about 1,000. */
const MAX_DEPTH = 64;
/** Jackson reads numbers of 1,000 characters, Python integers of 4,300. */
const MAX_NUMBER_CHARS = 1_000;
/** A shorter number without an exponent is within the range of a double. */
const MAX_SAFE_CHARS = 300;

const [QUOTE, MINUS, ZERO, NINE] = [0x22, 0x2d, 0x30, 0x39];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const NUMBER = /[-+.\deE]+/y;

/** Parses a JSON object; integers that a double cannot hold become bigint. Throws a SyntaxError. */
export function parseParameters(json: string): Record<string, unknown> {
  if (json === '') return {};
  const value = parse(json);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SyntaxError('not a JSON object');
  return value as Record<string, unknown>;
}

/** The inverse of `parseParameters`. */
export function stringifyParameters(parameters: Record<string, unknown>): string {
  return JSON.stringify(parameters, (_key, value) => (typeof value === 'bigint' ? JSON.rawJSON(String(value)) : value));
}

/**
 * Returns why a common reader of JSON would not parse the text: its depth, or a number that is too long or too large.
 * Returns undefined where all do. Requires JSON.
 */
export function unreadableFor(json: string): string | undefined {
  let depth = 0;
  for (let at = 0; at < json.length; ) {
    const next = json.charCodeAt(at);
    if (next === QUOTE) at = endOfString(json, at);
    else if (next === MINUS || (next >= ZERO && next <= NINE)) {
      const number = numberAt(json, at);
      const problem = problemOf(number);
      if (problem !== undefined) return problem;
      at += number.length;
    } else {
      if (next === OPEN_ARRAY || next === OPEN_OBJECT) depth += 1;
      else if (next === CLOSE_ARRAY || next === CLOSE_OBJECT) depth -= 1;
      if (depth > MAX_DEPTH) return `is nested more than ${MAX_DEPTH} levels deep`;
      at += 1;
    }
  }
  return undefined;
}

/** Returns why a long text is not one JSON object that common readers parse; yields between parts of the work. */
export function longParametersProblem(json: string): Generator<void, string | undefined> {
  return jsonObjectProblem(json, { maxDepth: MAX_DEPTH, problemOfNumber: problemOf });
}

function numberAt(json: string, start: number): string {
  NUMBER.lastIndex = start;
  NUMBER.test(json);
  return json.slice(start, NUMBER.lastIndex);
}

function problemOf(number: string): string | undefined {
  if (number.length > MAX_NUMBER_CHARS) {
    return `has a number of ${number.length} characters, at most ${MAX_NUMBER_CHARS} are kept`;
  }
  const isSafe = number.length <= MAX_SAFE_CHARS && !/[eE]/.test(number);
  return isSafe || Number.isFinite(Number(number)) ? undefined : 'has a number that is too large for a double';
}

/** V8 reads any depth, but recurses for a reviver. */
function parse(json: string): unknown {
  try {
    return JSON.parse(json, exactInteger);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new SyntaxError(`nested too deep to be parsed: ${json.length} characters`, { cause: error });
  }
}

function exactInteger(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return context.source !== undefined && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}
