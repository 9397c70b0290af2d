/** Finds what there is in place of a model, category or tag that no image has. */
import type { Hint, ImageFilter, Totals, TotalsOptions } from '../domain/requests.ts';
import { similarTo } from './similar.ts';

const MAX_VALUES = 5;
/** Comparing takes some ms for each. */
const MAX_HINTS = 8;
/** Of most images; comparing more would take long. */
const COMPARED = 2_000;

type Asked = [field: Hint['field'], value: string, filter: ImageFilter];

/** What hints are read from. */
export interface HintSource {
  /** Returns whether any image matches. */
  any(filter: ImageFilter): Promise<boolean>;
  totals(options: TotalsOptions): Promise<Totals>;
}

/** Returns a hint for each value of the filters that no image has and other values may stand for. */
export async function hintsFor(
  { model, category, tags = [] }: Pick<ImageFilter, 'model' | 'category' | 'tags'>,
  source: HintSource,
): Promise<Hint[]> {
  const asked: Asked[] = tags.map((tag) => ['tag', tag, { tags: [tag] }]);
  if (category) asked.unshift(['category', category, { category }]);
  if (model) asked.unshift(['model', model, { model }]);
  const hints: Hint[] = [];
  const known = new Map<Hint['field'], string[]>();
  for (const [field, value, filter] of asked) {
    if (await source.any(filter)) continue;
    const names = known.get(field) ?? (await namesOf(field, source));
    known.set(field, names);
    const values = similarTo(value, names).slice(0, MAX_VALUES);
    if (values.length > 0) hints.push({ field, values });
    if (hints.length === MAX_HINTS) break;
  }
  return hints;
}

async function namesOf(field: Hint['field'], source: HintSource): Promise<string[]> {
  const { groups } = await source.totals({ by: field, limit: COMPARED });
  return groups.filter(({ name, rest }) => name !== '' && !rest).map(({ name }) => name);
}
