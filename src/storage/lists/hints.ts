/** Finds what there is in place of a model, category or tag that no image has. */
import type { Hint, ImageFilter, Totals, TotalsOptions } from '../domain/requests.ts';
import { similarTo } from './similar.ts';

const MAX_VALUES = 5;
/** Each is searched for, and compared with all names. */
const MAX_ASKED = 16;
/** Of most images; comparing more would take long. */
const COMPARED = 2_000;

/** A field of a query; one in an alternative or negated has another form. */
const TERM = /(?<=^|\s)(model|category|tag):(?:"([^"]+)"|([^\s"]+))(?=\s|$)/gi;

/** The filters that hints are for; of a query its fields of the same names. */
export type HintedFilter = Pick<ImageFilter, 'model' | 'category' | 'tags' | 'query'>;

interface Asked {
  field: Hint['field'];
  value: string;
  /** Selects the images that have the value. */
  filter: ImageFilter;
}

/** What hints are read from. */
export interface HintSource {
  /** Returns whether any image matches. */
  any(filter: ImageFilter): Promise<boolean>;
  totals(options: TotalsOptions): Promise<Totals>;
}

/** Returns a hint for each value of the filters that no image has and other values may stand for. */
export async function hintsFor(asked: HintedFilter, source: HintSource): Promise<Hint[]> {
  const hints: Hint[] = [];
  const known = new Map<Hint['field'], string[]>();
  for (const { field, value, filter } of valuesOf(asked).slice(0, MAX_ASKED)) {
    if (await source.any(filter)) continue;
    const names = known.get(field) ?? (await namesOf(field, source));
    known.set(field, names);
    const values = similarTo(value, names).slice(0, MAX_VALUES);
    if (values.length > 0) hints.push({ field, values });
  }
  return hints;
}

function valuesOf({ model, category, tags = [], query = '' }: HintedFilter): Asked[] {
  const asked = query.includes(' OR ') ? [] : [...query.matchAll(TERM)].map(askedBy);
  asked.unshift(...tags.map((tag): Asked => ({ field: 'tag', value: tag, filter: { tags: [tag] } })));
  if (category) asked.unshift({ field: 'category', value: category, filter: { category } });
  if (model) asked.unshift({ field: 'model', value: model, filter: { model } });
  return asked;
}

function askedBy([term, field = '', quoted, word = '']: RegExpExecArray): Asked {
  return { field: field.toLowerCase() as Hint['field'], value: quoted ?? word, filter: { query: term } };
}

async function namesOf(field: Hint['field'], source: HintSource): Promise<string[]> {
  const { groups } = await source.totals({ by: field, limit: COMPARED });
  return groups.filter(({ name, rest }) => name !== '' && !rest).map(({ name }) => name);
}
