/** The texts of an image by their keywords, and the fields of those that are JSON. */
import { Turn } from '../async/turn.ts';
import { asFields, type Fields } from './fields.ts';
import { type Budget, type ParsedJson, parseJson } from './json.ts';

/** The keywords of the generators; no other text is read. */
const KEYWORDS = [
  ...['prompt', 'parameters', 'Creation Time', 'Software', 'Source', 'Description', 'Comment'],
  ...['invokeai_metadata', 'sd-metadata', 'Dream', 'dream'],
] as const;
export type Keyword = (typeof KEYWORDS)[number];

/** In the order in which they take precedence. */
const JSON_KEYWORDS: Keyword[] = ['prompt', 'parameters', 'invokeai_metadata', 'sd-metadata', 'Comment'];
/** The most values of all texts of an image; a graph of a thousand nodes has some 15,000. */
const MAX_VALUES = 30_000;

export function isKeyword(text: string): text is Keyword {
  return (KEYWORDS as readonly string[]).includes(text);
}

export interface Texts {
  get(keyword: Keyword): string | undefined;
  /** Returns undefined when there is no such text, or it is not JSON. */
  fieldsOf(keyword: Keyword): Fields | undefined;
  /** Returns the text of `fieldsOf`, with null for what Python writes and JSON lacks. */
  jsonOf(keyword: Keyword): string | undefined;
}

/** Parses the texts that are JSON, and gives the event loop back between slices. */
export async function parseTexts(texts: ReadonlyMap<Keyword, string>): Promise<Texts> {
  const budget = { values: MAX_VALUES };
  const parsed = new Map<Keyword, ParsedJson>();
  for (const keyword of JSON_KEYWORDS) {
    const text = texts.get(keyword);
    const found = text === undefined ? undefined : await parsedInSlices(text, budget);
    if (found !== undefined) parsed.set(keyword, found);
  }
  return {
    get: (keyword) => texts.get(keyword),
    fieldsOf: (keyword) => (parsed.has(keyword) ? asFields(parsed.get(keyword)!.value) : undefined),
    jsonOf: (keyword) => parsed.get(keyword)?.json,
  };
}

async function parsedInSlices(text: string, budget: Budget): Promise<ParsedJson | undefined> {
  // Most texts are prompts.
  if (!/^\s*[[{]/.test(text)) return undefined;
  const turn = new Turn();
  try {
    for (const steps = parseJson(text, budget); ; await turn.giveBack()) {
      const step = steps.next();
      if (step.done) return step.value;
    }
  } catch {
    return undefined;
  }
}
