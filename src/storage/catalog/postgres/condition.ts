/** Translates what people search for into a condition of SQL over the columns of a slice. */
import { isModelSlug } from '../../domain/naming.ts';
import type { CatalogQuery } from '../catalog.ts';
import { type Field, filterWords, markOf, SHA256_DIGITS } from '../search-fields.ts';
import type { Condition, Term } from '../search-query.ts';
import { isCut, TOO_MANY, wordQuery } from './words.ts';

/** A condition, and what is known of it. */
interface Bound {
  /** As a `tsquery`, where words alone decide. */
  words?: string;
  /** In SQL. Neither: every image fulfils it. */
  sql?: string;
  /** Whether it says all of what was asked for; otherwise more images fulfil it. */
  isExact: boolean;
  /** A `tsquery` that finds all images that fulfil it, of words that must be there. */
  lookup?: string;
}

export interface Search {
  /** Which images may be hits. */
  sql: string;
  /** Whether all of them are, but for those of which words are left out. */
  isExact: boolean;
  /** What the text index is asked; unset where it is of no use. */
  lookup: string | undefined;
}

/** The values of the parameters of a statement. */
export class Parameters {
  readonly #values: unknown[] = [];

  /** Returns the name of a parameter with this value. */
  add(value: unknown): string {
    this.#values.push(value);
    return `$${this.#values.length}`;
  }

  /** Returns the statement with the parameters that it has: Postgres refuses others, which a condition may have left. */
  of(sql: string): [sql: string, values: unknown[]] {
    const used = [...new Set(sql.match(/\$\d+/g))];
    const numbers = new Map(used.map((name, at) => [name, `$${at + 1}`]));
    return [
      sql.replace(/\$\d+/g, (name) => numbers.get(name)!),
      used.map((name) => this.#values[Number(name.slice(1)) - 1]),
    ];
  }
}

const COLUMNS: Partial<Record<Field, string>> = { steps: 'steps', cfg: 'cfg', size: 'pixels' };
const EVERY: Bound = { isExact: true };
const UNKNOWN: Bound = { isExact: false };
const NONE: Bound = { sql: 'FALSE', isExact: true };

/** Returns the search of the filters and the condition of a query, besides dates. */
export function searchOf(query: CatalogQuery, condition: Condition, parameters: Parameters): Search {
  const filters = filtersOf(query, parameters);
  const bound = new Translation(parameters).boundOf(condition);
  const { isExact } = bound;
  const asked = sqlOf(bound, parameters);
  const found = asked === undefined ? [] : [`(${asked} OR is_cut)`];
  const lookups = [...filterWords(query).map((word) => wordQuery(word)), ...(bound.lookup ? [bound.lookup] : [])];
  return {
    sql: [...filters, ...found].join(' AND ') || 'TRUE',
    isExact,
    lookup: lookups.length === 0 ? undefined : `(${lookups.join(' & ')}) | ${wordQuery(TOO_MANY)}`,
  };
}

function filtersOf({ model, category, tags = [], pinned }: CatalogQuery, parameters: Parameters): string[] {
  return [
    ...(model ? [`${isModelSlug(model) ? 'model_slug' : 'model'} = ${parameters.add(model)}`] : []),
    ...(category ? [`category = ${parameters.add(category)} AND category <> ''`] : []),
    ...(pinned === undefined ? [] : [pinned ? 'pinned' : 'NOT pinned']),
    ...(tags.length > 0 ? [`tags @> ${parameters.add(tags)}::text[]`] : []),
  ];
}

function sqlOf({ words, sql }: Bound, parameters: Parameters): string | undefined {
  return words === undefined ? sql : `words @@ ${parameters.add(words)}::tsquery`;
}

class Translation {
  readonly #parameters: Parameters;

  constructor(parameters: Parameters) {
    this.#parameters = parameters;
  }

  boundOf(condition: Condition): Bound {
    switch (condition.kind) {
      case 'not':
        return this.#not(this.boundOf(condition.of));
      case 'all':
        return this.#all(condition.of.map((part) => this.boundOf(part)));
      case 'any':
        return this.#any(condition.of.map((part) => this.boundOf(part)));
      default:
        return this.#term(condition);
    }
  }

  #term(term: Term): Bound {
    switch (term.kind) {
      case 'words':
        return wordsBound(term.field, term.words, term.isOpen);
      case 'range':
        return this.#range(term);
      case 'sha256': {
        const sql = `starts_with(sha256, ${this.#parameters.add(term.digits)})`;
        return { sql, isExact: true, lookup: wordQuery(markOf('sha256') + term.digits.slice(0, SHA256_DIGITS)) };
      }
      case 'time':
        return { sql: this.#within(term), isExact: true };
    }
  }

  #range({ field, from, to }: Term & { kind: 'range' }): Bound {
    const column = COLUMNS[field]!;
    const [first, last] = [this.#parameters.add(from), this.#parameters.add(to)];
    const sql = `coalesce(${column} >= ${first} AND ${column} <= ${last}, FALSE)`;
    if (to !== from && to !== `${from}~`) return { sql, isExact: true };
    return { sql, isExact: true, lookup: wordQuery(markOf(field) + from, to !== from) };
  }

  #within({ from, to }: Term & { kind: 'time' }): string {
    const bounds = [
      ...(Number.isFinite(from) ? [`timestamp >= ${this.#parameters.add(from)}`] : []),
      ...(Number.isFinite(to) ? [`timestamp < ${this.#parameters.add(to)}`] : []),
    ];
    return bounds.join(' AND ') || 'TRUE';
  }

  /** What is outside of more than was asked for says nothing of the rest. */
  #not(bound: Bound): Bound {
    if (!bound.isExact) return UNKNOWN;
    if (bound.words !== undefined) return { words: `!(${bound.words})`, isExact: true };
    return bound.sql === undefined ? NONE : { sql: `NOT (${bound.sql})`, isExact: true };
  }

  #all(bounds: readonly Bound[]): Bound {
    const isExact = bounds.every((bound) => bound.isExact);
    const said = bounds.filter(({ words, sql }) => words !== undefined || sql !== undefined);
    if (said.length === 0) return { isExact };
    const lookups = said.flatMap(({ lookup }) => lookup ?? []);
    return {
      ...this.#joined(said, '&', 'AND'),
      isExact,
      ...(lookups.length > 0 && { lookup: joinedBy('&', lookups) }),
    };
  }

  #any(bounds: readonly Bound[]): Bound {
    const open = bounds.filter(({ words, sql }) => words === undefined && sql === undefined);
    if (open.length > 0) return open.some(({ isExact }) => isExact) ? EVERY : UNKNOWN;
    if (bounds.length === 0) return NONE;
    const lookups = bounds.flatMap(({ lookup }) => lookup ?? []);
    return {
      ...this.#joined(bounds, '|', 'OR'),
      isExact: bounds.every(({ isExact }) => isExact),
      ...(lookups.length === bounds.length && { lookup: joinedBy('|', lookups) }),
    };
  }

  #joined(bounds: readonly Bound[], sign: '&' | '|', operator: 'AND' | 'OR'): Pick<Bound, 'words' | 'sql'> {
    const words = bounds.flatMap((bound) => bound.words ?? []);
    if (words.length === bounds.length) return { words: joinedBy(sign, words) };
    const together =
      words.length === 0 ? [] : [sqlOf({ words: joinedBy(sign, words), isExact: true }, this.#parameters)];
    const others = bounds.flatMap((bound) => (bound.words === undefined ? bound.sql! : []));
    return { sql: `(${[...together, ...others].join(` ${operator} `)})` };
  }
}

/** Words in a row are looked up one by one. */
function wordsBound(field: Field, words: readonly string[], isOpen: boolean): Bound {
  const marked = words.map((word) => markOf(field) + word);
  const last = marked.length - 1;
  const queries = marked.map((word, at) => wordQuery(word, isOpen && at === last));
  const query = joinedBy('&', [...new Set(queries)]);
  return { words: query, lookup: query, isExact: marked.length === 1 && !marked.some(isCut) };
}

function joinedBy(sign: '&' | '|', queries: readonly string[]): string {
  return queries.length === 1 ? queries[0]! : `(${queries.join(` ${sign} `)})`;
}
