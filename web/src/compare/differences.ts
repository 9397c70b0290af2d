/** What differs between two images: prompts, settings, and whatever else their parameters say. */
import type { ImageJson } from '../api/contract.ts';
import { texts } from '../texts.ts';

/** One thing that is known of two images; empty: not of this one. */
export interface Pair {
  name: string;
  left: string;
  right: string;
}

/** In the order of the panel, then by name the other parameters that differ, unless they say the same. */
export function pairsOf(left: ImageJson, right: ImageJson): Pair[] {
  const [known, other] = [factsOf(left), factsOf(right)];
  const facts = known
    .map(([name, value], at) => ({ name, left: value, right: other[at]![1] }))
    .filter((pair) => pair.left !== '' || pair.right !== '');
  const isTold = (pair: Pair) => facts.some((fact) => fact.left === pair.left && fact.right === pair.right);
  return [...facts, ...parametersOf(left, right).filter((pair) => !isTold(pair))];
}

function factsOf({ metadata = {}, generation: made = {}, width = 0, height = 0 }: ImageJson): [string, string][] {
  const { panel } = texts;
  return [
    [panel.prompt, metadata.prompt ?? ''],
    [panel.negative, made.negativePrompt ?? ''],
    [panel.model, metadata.model ?? ''],
    [panel.seed, made.seed ?? ''],
    [panel.steps, made.steps?.toString() ?? ''],
    [panel.cfg, made.cfg?.toString() ?? ''],
    [panel.sampler, made.sampler ?? ''],
    [panel.scheduler, made.scheduler ?? ''],
    [panel.loras, made.loras?.join(', ') ?? ''],
    [panel.size, texts.pixels(width, height)],
  ];
}

/** Values that are large, such as workflows, are compared by who wants to; only those that differ tell anything. */
function parametersOf(left: ImageJson, right: ImageJson): Pair[] {
  const [known, other] = [valuesOf(left), valuesOf(right)];
  const names = [...new Set([...known.keys(), ...other.keys()])].sort();
  return names
    .map((name) => ({ name, left: known.get(name) ?? '', right: other.get(name) ?? '' }))
    .filter((pair) => pair.left !== pair.right);
}

const MAX_SHOWN = 400;

function valuesOf({ metadata: { parametersJson = '' } = {} }: ImageJson): Map<string, string> {
  const parsed = parse(parametersJson);
  const isRecord = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
  return new Map(isRecord ? Object.entries(parsed).map(([name, value]) => [name, shownOf(value)]) : []);
}

function shownOf(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`;
}

/** Numbers become text: a seed of 64 bits would be rounded. */
function parse(json: string): unknown {
  try {
    return JSON.parse(json, (_, value, context?: { source?: string }) =>
      typeof value === 'number' ? (context?.source ?? String(value)) : value,
    );
  } catch {
    return undefined;
  }
}
