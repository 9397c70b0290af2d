/** The texts of an image by their keywords, and the values of those that are JSON. */
import { Turn } from '../async/turn.ts';
import { asFields, type Fields } from './fields.ts';
import { type Budget, type ParsedJson, parseJson } from './json.ts';

/** Those that may be JSON, in the order in which they take precedence. */
const JSON_KEYWORDS = ['prompt', 'parameters', 'invokeai_metadata', 'sd-metadata', 'invokeai', 'Comment'] as const;
/** The most values of all texts of an image; a graph of a thousand nodes has some 15,000. */
const MAX_VALUES = 30_000;
/** A drawn graph has some 100 a node: places, sizes and colours. */
const MAX_WORKFLOW_VALUES = 60_000;

export interface Texts {
  get(keyword: string): string | undefined;
  /** Returns undefined when there is no such text, or it is not JSON. */
  fieldsOf(keyword: string): Fields | undefined;
  /** Returns the text of `fieldsOf`, with null for what Python writes and JSON lacks. */
  jsonOf(keyword: string): string | undefined;
  /** Returns the texts that are one setting each. */
  settings(): [keyword: string, text: string][];
}

/** Parses the texts that are JSON, and gives the event loop back between slices. */
export async function parseTexts(texts: ReadonlyMap<string, string>): Promise<Texts> {
  const budget = { values: MAX_VALUES };
  const parsed = new Map<string, ParsedJson>();
  for (const keyword of JSON_KEYWORDS) {
    const found = await parsedInSlices(texts.get(keyword), budget);
    if (found !== undefined) parsed.set(keyword, found);
  }
  if (parsed.size === 0) {
    const found = await parsedInSlices(texts.get('workflow'), { values: MAX_WORKFLOW_VALUES });
    if (found !== undefined) parsed.set('workflow', found);
  }
  return {
    get: (keyword) => texts.get(keyword),
    fieldsOf: (keyword) => (parsed.has(keyword) ? asFields(parsed.get(keyword)!.value) : undefined),
    jsonOf: (keyword) => parsed.get(keyword)?.json,
    settings: () => [...texts].filter(([keyword]) => /^[a-z][a-z_-]*$/.test(keyword)),
  };
}

/** Parses a text like those of an image, within it. */
export async function parsedInSlices(text: string | undefined, budget: Budget): Promise<ParsedJson | undefined> {
  // Most texts are prompts.
  if (text === undefined || !/^\s*[[{]/.test(text)) return undefined;
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
