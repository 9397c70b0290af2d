/** Tests whether an image fulfils the condition of a query; agrees with what the text index finds. */
import { type Field, type Searched, wordsOf } from './search-fields.ts';
import type { Condition, Term } from './search-query.ts';

/** Reads of the image only what it needs. */
export type ImageTest = (image: Searched) => boolean;
type Test = (words: FieldWords) => boolean;
type Words = Term & { kind: 'words' };

/** From so many on, one pass over the words of an image costs less than a search for each. */
const MANY = 8;

/** Returns the test of a condition. */
export function testOf(condition: Condition): ImageTest {
  const test = compiled(condition);
  return (image) => test(new FieldWords(image));
}

function compiled(condition: Condition): Test {
  switch (condition.kind) {
    case 'all':
      return allOf(condition.of);
    case 'any':
      return anyOf(condition.of);
    case 'not': {
      const test = compiled(condition.of);
      return (words) => !test(words);
    }
    default:
      return termTest(condition);
  }
}

function allOf(conditions: readonly Condition[]): Test {
  const excluded = conditions.flatMap((condition) => (condition.kind === 'not' ? [condition.of] : []));
  const tests = conditions.filter(({ kind }) => kind !== 'not').map(compiled);
  if (excluded.length > 0) {
    const test = compiled({ kind: 'any', of: excluded.flatMap((part) => (part.kind === 'any' ? part.of : [part])) });
    tests.push((words) => !test(words));
  }
  return (words) => tests.every((test) => test(words));
}

function anyOf(conditions: readonly Condition[]): Test {
  const single = Map.groupBy(conditions.filter(isOneWord), ({ field }) => field);
  const sets = [...single].filter(([, terms]) => terms.length >= MANY);
  const inSets = new Set<Condition>(sets.flatMap(([, terms]) => terms));
  const tests = [
    ...sets.map(([field, terms]) => setTest(field, terms)),
    ...conditions.filter((condition) => !inSets.has(condition)).map(compiled),
  ];
  return (words) => tests.some((test) => test(words));
}

function isOneWord(condition: Condition): condition is Words {
  return condition.kind === 'words' && condition.words.length === 1;
}

/** Tests whether a field has one of many words. */
function setTest(field: Field, terms: readonly Words[]): Test {
  const textsOf = (isOpen: boolean) => terms.filter((term) => term.isOpen === isOpen).map(({ words }) => words[0]!);
  const whole = new Set(textsOf(false));
  const begun = new Set(textsOf(true));
  const lengths = [...new Set([...begun].map(({ length }) => length))];
  return (words) =>
    words
      .of(field)
      .split(' ')
      .some((word) => whole.has(word) || lengths.some((length) => begun.has(word.slice(0, length))));
}

function termTest(term: Term): Test {
  switch (term.kind) {
    case 'words': {
      const text = ` ${term.words.join(' ')}${term.isOpen ? '' : ' '}`;
      return (words) => words.of(term.field).includes(text);
    }
    case 'range':
      return (words) =>
        words
          .of(term.field)
          .split(' ')
          .some((word) => word >= term.from && word <= term.to);
    case 'sha256':
      return ({ image }) => image.sha256.startsWith(term.digits);
    case 'time':
      return ({ image }) => image.timestamp >= term.from && image.timestamp < term.to;
  }
}

/** The words of the fields of an image that were needed. */
class FieldWords {
  readonly image: Searched;
  readonly #words = new Map<Field, string>();

  constructor(image: Searched) {
    this.image = image;
  }

  /** Returns the words of a field, each between two spaces. */
  of(field: Field): string {
    let words = this.#words.get(field);
    if (words === undefined) {
      words = `${wordsOf(field, this.image)} `;
      this.#words.set(field, words);
    }
    return words;
  }
}
