/** Parses what people search for. Never fails: what is no part of the grammar is text. */
import {
  type Field,
  numberWord,
  SETTINGS_FIELDS,
  SHA256_DIGITS,
  sizeWord,
  TYPES,
  valueWord,
  YES,
} from './search-fields.ts';
import { runsOf } from './search-text.ts';

/** What an image must be to be found. */
export type Condition =
  | Term
  | { kind: 'all'; of: Condition[] }
  | { kind: 'any'; of: Condition[] }
  | { kind: 'not'; of: Condition };

export type Term =
  /** Words of the field in a row; of an open one the last may be the beginning of a word. */
  | { kind: 'words'; field: Field; words: string[]; isOpen: boolean }
  /** A word of the field from one to another, both included. */
  | { kind: 'range'; field: Field; from: string; to: string }
  /** The digits that the sha256 begins with, 8 at least. */
  | { kind: 'sha256'; digits: string }
  /** `[from, to)`, ms since 1970. */
  | { kind: 'time'; from: number; to: number };

/** A condition that every image fulfils. */
const EVERYTHING: Condition = { kind: 'all', of: [] };
/** A condition that no image fulfils. */
const NOTHING: Condition = { kind: 'any', of: [] };

/** Text in quotes, perhaps with a field and a minus, or all up to the next space. */
const TOKEN = /-?(?:[a-z0-9]+:)?"[^"]*"|\S+/gi;
const QUOTED = /^"([^"]*)"$/;
const FIELD = /^([a-z0-9]+):(?:"([^"]*)"|(.+))$/i;
/** Two of them are no operator: Midjourney's parameters begin so. */
const NEGATED = /^-(?=[^-])/;
const SHORT_ID = /^[0-9a-z]{6}$/i;
/** From the whole day on. */
const FILENAME = /^\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(_[0-9a-z_.-]*)?$/i;

const NUMBER = String.raw`(\d+(?:\.\d+)?|\.\d+)`;
const [EXACTLY, AT_LEAST, AT_MOST, FROM_TO] = ['N', '>=N', '<=N', 'N\\.\\.N'].map(
  (form) => new RegExp(`^${form.replaceAll('N', NUMBER)}$`),
) as [RegExp, RegExp, RegExp, RegExp];
const PIXELS = /^(\d+)[x×](\d+)$/i;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const SHA256 = new RegExp(`^[0-9a-f]{${SHA256_DIGITS},64}$`, 'i');
/** Follows every word that begins as one of a size does. */
const LAST = '~';

/** Returns the condition of a query: every image fulfils that of a blank one, and none that of one without words. */
export function parseQuery(query: string): Condition {
  if (query.trim() === '') return EVERYTHING;
  const operands = (query.match(TOKEN) ?? []).flatMap((token) => {
    const condition = conditionOf(token);
    return condition === undefined ? [] : [{ isOr: token === 'OR', condition }];
  });
  const groups: Condition[][] = [];
  for (let at = 0; at < operands.length; at += 1) {
    const [operand, next] = [operands[at]!, operands[at + 1]];
    const last = groups.at(-1);
    if (operand.isOr && last !== undefined && next !== undefined && !next.isOr) {
      last.push(next.condition);
      at += 1;
    } else groups.push([operand.condition]);
  }
  return groups.length === 0 ? NOTHING : allOf(groups.map(anyOf));
}

export function isEverything(condition: Condition): boolean {
  return condition.kind === 'all' && condition.of.length === 0;
}

export function isNothing(condition: Condition): boolean {
  return condition.kind === 'any' && condition.of.length === 0;
}

/** Returns the range of time that a condition asks for, and what it asks for besides. */
export function withinTime(condition: Condition): { condition: Condition; from: number; to: number } {
  let [from, to] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const rest = partsOf(condition).filter((part) => {
    const range = rangeOfTime(part);
    if (range === undefined) return true;
    [from, to] = [Math.max(from, range.from), Math.min(to, range.to)];
    return false;
  });
  return { condition: allOf(rest), from, to };
}

function rangeOfTime(condition: Condition): { from: number; to: number } | undefined {
  if (condition.kind === 'time') return condition;
  if (condition.kind !== 'not' || condition.of.kind !== 'time') return undefined;
  // A day is open on one side.
  const { from, to } = condition.of;
  return Number.isFinite(from)
    ? { from: Number.NEGATIVE_INFINITY, to: from }
    : { from: to, to: Number.POSITIVE_INFINITY };
}

function partsOf(condition: Condition): Condition[] {
  return condition.kind === 'all' ? condition.of : [condition];
}

/** Returns whether a condition depends on the parameters of images. */
export function needsSettings(condition: Condition): boolean {
  switch (condition.kind) {
    case 'words':
    case 'range':
      return SETTINGS_FIELDS.includes(condition.field);
    case 'all':
    case 'any':
      return condition.of.some(needsSettings);
    case 'not':
      return needsSettings(condition.of);
    default:
      return false;
  }
}

/** Returns undefined for a token without words. */
function conditionOf(token: string): Condition | undefined {
  if (!NEGATED.test(token)) return plainOf(token);
  const of = plainOf(token.slice(1));
  return of && { kind: 'not', of };
}

function plainOf(token: string): Condition | undefined {
  const quoted = QUOTED.exec(token)?.[1];
  if (quoted !== undefined) return phraseOf('prompt', quoted);
  const [, name = '', phrase, value = ''] = FIELD.exec(token) ?? [];
  return fieldOf(name.toLowerCase(), phrase, value) ?? textOf(token);
}

/** Returns undefined where there is no such field, or the value is none that it can have. */
function fieldOf(name: string, phrase: string | undefined, word: string): Condition | undefined {
  const value = phrase ?? word;
  switch (name) {
    case 'model':
    case 'lora':
    case 'negative':
      return phrase === undefined ? wordsOf(name, word) : phraseOf(name, phrase);
    case 'filename':
      return phraseOf(name, value, phrase === undefined);
    case 'category':
    case 'tag':
    case 'sampler':
    case 'scheduler':
    case 'seed':
      return value.trim() === '' ? undefined : whole(name, valueWord(value));
    case 'type':
      return typeOf(value);
    case 'sha256':
      return SHA256.test(value) ? { kind: 'sha256', digits: value.toLowerCase() } : undefined;
    case 'steps':
    case 'cfg':
      return rangeOf(name, value, '');
    case 'size':
      return sizeOf(value) ?? rangeOf(name, value, LAST);
    case 'after':
    case 'before':
      return timeOf(name, value);
    case 'is':
      return value.toLowerCase() === 'pinned' ? whole('pinned', YES) : undefined;
    case 'has':
      return value.toLowerCase() === 'workflow' ? whole('workflow', YES) : undefined;
    default:
      return undefined;
  }
}

/** The words of a token; an id or the beginning of a filename also stands for its image. */
function textOf(token: string): Condition | undefined {
  const text = wordsOf('prompt', token);
  if (text === undefined) return undefined;
  if (SHORT_ID.test(token)) return anyOf([text, whole('id', token.toUpperCase())]);
  if (FILENAME.test(token)) return anyOf([text, phraseOf('filename', token, true)!]);
  return text;
}

function wordsOf(field: Field, text: string): Condition | undefined {
  const runs = runsOf(text);
  if (runs.length === 0) return undefined;
  return allOf(runs.map((run) => ({ kind: 'words', field, words: run.split(' '), isOpen: isLong(run) })));
}

function phraseOf(field: Field, text: string, isOpen = false): Condition | undefined {
  const words = runsOf(text).flatMap((run) => run.split(' '));
  return words.length === 0 ? undefined : { kind: 'words', field, words, isOpen: isOpen && isLong(words.join(' ')) };
}

/** One character is a whole word. */
function isLong(text: string): boolean {
  return text.length > 2 || [...text].length > 1;
}

function whole(field: Field, word: string): Condition {
  return { kind: 'words', field, words: [word], isOpen: false };
}

function typeOf(value: string): Condition | undefined {
  const type = value
    .toUpperCase()
    .replace(/^IMAGE\//, '')
    .replace(/^JPG$/, 'JPEG');
  return TYPES.includes(type) && type !== 'OTHER' ? whole('type', type) : undefined;
}

/** `last` follows every word that begins with that of a number. */
function rangeOf(field: Field, value: string, last: string): Condition | undefined {
  const between = (from: number, to: number): Condition => {
    return { kind: 'range', field, from: numberWord(from), to: numberWord(to) + last };
  };
  const [, exactly] = EXACTLY.exec(value) ?? [];
  if (exactly !== undefined) return between(Number(exactly), Number(exactly));
  const [, from] = AT_LEAST.exec(value) ?? [];
  if (from !== undefined) return between(Number(from), Number.POSITIVE_INFINITY);
  const [, to] = AT_MOST.exec(value) ?? [];
  if (to !== undefined) return between(0, Number(to));
  const [, first, second] = FROM_TO.exec(value) ?? [];
  return first === undefined ? undefined : between(Number(first), Number(second));
}

function sizeOf(value: string): Condition | undefined {
  const [, width, height] = PIXELS.exec(value) ?? [];
  return width === undefined ? undefined : whole('size', sizeWord(Number(width), Number(height)));
}

function timeOf(name: 'after' | 'before', value: string): Condition | undefined {
  const time = DAY.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== value) return undefined;
  return name === 'after'
    ? { kind: 'time', from: time, to: Number.POSITIVE_INFINITY }
    : { kind: 'time', from: Number.NEGATIVE_INFINITY, to: time };
}

/** Leaves out what is said twice, and levels that say nothing. */
function allOf(conditions: Condition[]): Condition {
  return joined('all', conditions);
}

function anyOf(conditions: Condition[]): Condition {
  return joined('any', conditions);
}

function joined(kind: 'all' | 'any', conditions: Condition[]): Condition {
  const flat = conditions.flatMap((condition) => (condition.kind === kind ? condition.of : [condition]));
  const of = [...new Map(flat.map((condition) => [JSON.stringify(condition), condition])).values()];
  return of.length === 1 ? of[0]! : { kind, of };
}
