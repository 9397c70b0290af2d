/**
 * Reads the metadata of InvokeAI's PNGs: `invokeai_metadata`, formerly `sd-metadata`, and originally a command line.
 */
import { asFields, asText, type Fields, settingOf } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';
import { modelIn } from './settings-json.ts';
import type { Texts } from './texts.ts';

/** `"a fox" -s 50 -S 1234 -W 512 …` */
const COMMAND_LINE = /^"(.*)"(.*)$/s;
/** Longer ones hold no prompt that a save accepts. */
const MAX_COMMAND_CHARS = 64 * 1024 + 4096;
const FLAGS: Record<string, string> = { s: 'steps', S: 'seed', W: 'width', H: 'height', C: 'cfg_scale', A: 'sampler' };

/** Negative words stand in brackets within the prompt. */
const NEGATIVE = /\[([^[\]]*)\]/g;

/** Returns undefined when no text is InvokeAI's. */
export function readInvokeAI(texts: Texts): GeneratorMetadata | undefined {
  const newest = texts.fieldsOf('invokeai_metadata');
  if (newest !== undefined) return readMetadata(newest);
  const node = texts.fieldsOf('invokeai');
  if (node !== undefined) return readMetadata(asFields(node.node));
  const older = texts.fieldsOf('sd-metadata');
  if (older !== undefined) return readOlderMetadata(older);
  const oldest = texts.get('Dream') ?? texts.get('dream');
  return oldest === undefined ? undefined : readCommandLine(oldest);
}

function readMetadata({ positive_prompt, prompt, ...settings }: Fields): GeneratorMetadata {
  return { prompt: asText(positive_prompt) ?? asText(prompt), model: modelIn(settings), settings };
}

function readOlderMetadata({ image, images, ...rest }: Fields): GeneratorMetadata {
  const { prompt, ...settings }: Fields = { ...rest, ...asFields(image ?? asFields(images)[0]) };
  return { ...withNegative(weightedPrompt(prompt), settings), model: asText(settings.model_weights) };
}

function readCommandLine(text: string): GeneratorMetadata | undefined {
  if (text.length > MAX_COMMAND_CHARS) return undefined;
  const [, prompt, flags] = COMMAND_LINE.exec(text.trim()) ?? [];
  if (prompt === undefined) return undefined;
  const settings = [...flags!.matchAll(/ -(\w)\s*(\S+)/g)].filter(([, flag]) => flag! in FLAGS);
  return withNegative(prompt, Object.fromEntries(settings.map(([, flag, value]) => [FLAGS[flag!], settingOf(value!)])));
}

/** Moves what stands in brackets from the prompt to the settings. */
function withNegative(prompt: string | undefined, settings: Fields): GeneratorMetadata {
  const negatives = [...(prompt ?? '').matchAll(NEGATIVE)].map(([, words]) => words!.trim()).filter(Boolean);
  if (negatives.length === 0 || prompt === undefined) return { prompt, settings };
  const positive = prompt.replace(NEGATIVE, ' ').replace(/ {2,}/g, ' ').trim();
  return { prompt: positive, settings: { ...settings, negative_prompt: negatives.join(', ') } };
}

/** Accepts one text, or several with weights. */
function weightedPrompt(prompt: unknown): string | undefined {
  if (!Array.isArray(prompt)) return asText(prompt);
  return prompt.map((part) => asText(asFields(part).prompt) ?? '').join(' ');
}
