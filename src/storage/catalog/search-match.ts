/** Tests whether an image fulfils the condition of a query; agrees with what the text index finds. */
import { type Field, type Searched, wordsOf } from './search-fields.ts';
import type { Condition, Term } from './search-query.ts';

/** Reads of the image only what the condition needs. */
export function matches(image: Searched, condition: Condition): boolean {
  return new Match(image).fulfils(condition);
}

class Match {
  readonly #image: Searched;
  /** The words of the fields that were needed, each between two spaces. */
  readonly #words = new Map<Field, string>();

  constructor(image: Searched) {
    this.#image = image;
  }

  fulfils(condition: Condition): boolean {
    switch (condition.kind) {
      case 'all':
        return condition.of.every((part) => this.fulfils(part));
      case 'any':
        return condition.of.some((part) => this.fulfils(part));
      case 'not':
        return !this.fulfils(condition.of);
      default:
        return this.#has(condition);
    }
  }

  #has(term: Term): boolean {
    switch (term.kind) {
      case 'words':
        return this.#wordsOf(term.field).includes(` ${term.words.join(' ')}${term.isOpen ? '' : ' '}`);
      case 'range':
        return this.#wordsOf(term.field)
          .split(' ')
          .some((word) => word >= term.from && word <= term.to);
      case 'sha256':
        return this.#image.sha256.startsWith(term.digits);
      case 'time':
        return this.#image.timestamp >= term.from && this.#image.timestamp < term.to;
    }
  }

  #wordsOf(field: Field): string {
    let words = this.#words.get(field);
    if (words === undefined) {
      words = `${wordsOf(field, this.#image)} `;
      this.#words.set(field, words);
    }
    return words;
  }
}
