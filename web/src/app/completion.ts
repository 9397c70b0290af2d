/** What the search field offers: names that begin as what is typed, with how many images have them. */
import { countImages, type Group } from '../api/stats.ts';
import { DAY_MS, dayNameOf } from '../state/layout.ts';
import type { View } from '../state/url.ts';
import { view } from '../state/view.ts';
import { texts } from '../texts.ts';
import { type NamedField, quoted, type Token } from './search-token.ts';

export interface Option {
  /** Of a kind and a name, so that no two are the same. */
  id: string;
  text: string;
  kind: string;
  count?: number;
  /** What choosing it narrows the view to. */
  change?: Partial<View>;
  /** What stands in the query instead of the token. */
  term?: string;
}

const GROUPS = {
  model: 'GROUP_BY_MODEL',
  tag: 'GROUP_BY_TAG',
  lora: 'GROUP_BY_LORA',
  category: 'GROUP_BY_CATEGORY',
} as const;
const FIELDS = Object.keys(GROUPS) as NamedField[];
const MAX_OF_FIELD = 8;
const MAX_OF_EACH = 3;
const MIN_WORD = 2;

/** Rejects when the signal fires. Without a token: what is asked for most. */
export async function optionsFor(token: Token | undefined, signal: AbortSignal): Promise<Option[]> {
  if (token === undefined) return generalOptions(signal);
  const { field, beginning } = token;
  if (field !== undefined) return await namesOf(field, beginning, MAX_OF_FIELD, signal);
  if (beginning.length < MIN_WORD) return [];
  const each = await Promise.all(FIELDS.map((name) => namesOf(name, beginning, MAX_OF_EACH, signal)));
  return each.flat();
}

async function namesOf(field: NamedField, startsWith: string, limit: number, signal: AbortSignal): Promise<Option[]> {
  const { groups } = await countImages(ofProvider(), { by: GROUPS[field], startsWith, limit }, signal);
  return groups.filter(({ name, isRest }) => name !== '' && !isRest).map((group) => optionOf(field, group));
}

function optionOf(field: NamedField, { name, count }: Group): Option {
  const option = { id: `${field} ${name}`, text: name, kind: texts.completion[field], count };
  if (field === 'lora') return { ...option, term: `lora:${quoted(name)}` };
  if (field === 'tag') return { ...option, change: { tags: [...new Set([...view.value.tags, name])] } };
  return { ...option, change: { [field]: name } };
}

async function generalOptions(signal: AbortSignal): Promise<Option[]> {
  const { completion } = texts;
  const counts = await countImages([['provider', '*']], {}, signal);
  const [models, tags] = await Promise.all([
    namesOf('model', '', MAX_OF_EACH, signal),
    namesOf('tag', '', MAX_OF_EACH, signal),
  ]);
  const since = (days: number) => ({ since: dayNameOf(Date.now() - (days - 1) * DAY_MS), until: '' });
  const option = (text: string, kind: string, change: Partial<View>): Option => ({ id: text, text, kind, change });
  const providers = counts.providers.length < 2 ? [] : [...counts.providers, '*'];
  return [
    option(completion.pinned, completion.filter, { pinned: true }),
    option(completion.today, completion.date, since(1)),
    option(completion.days(7), completion.date, since(7)),
    option(completion.days(30), completion.date, since(30)),
    ...providers.map((provider) =>
      option(provider === '*' ? completion.allProviders : provider, completion.provider, { provider }),
    ),
    ...models,
    ...tags,
  ];
}

function ofProvider(): [string, string][] {
  const { provider } = view.value;
  return provider === '' ? [] : [['provider', provider]];
}
