/**
 * Reads the metadata of InvokeAI's PNGs: `invokeai_metadata`, formerly `sd-metadata`, and originally a command line.
 */
import { asFields, asText, ExactNumber, type Fields } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';
import type { Texts } from './texts.ts';

/** `"a fox" -s 50 -S 1234 -W 512 …` */
const COMMAND_LINE = /^"(.*)"(.*)$/s;
/** Longer ones hold no prompt that a save accepts. */
const MAX_COMMAND_CHARS = 64 * 1024 + 4096;
const FLAGS: Record<string, string> = { s: 'steps', S: 'seed', W: 'width', H: 'height', C: 'cfg_scale', A: 'sampler' };
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?$/;

/** Returns undefined when no text is InvokeAI's. */
export function readInvokeAI(texts: Texts): GeneratorMetadata | undefined {
  const newest = texts.fieldsOf('invokeai_metadata');
  if (newest !== undefined) return readMetadata(newest);
  const older = texts.fieldsOf('sd-metadata');
  if (older !== undefined) return readOlderMetadata(older);
  const oldest = texts.get('Dream') ?? texts.get('dream');
  return oldest === undefined ? undefined : readCommandLine(oldest);
}

function readMetadata({ positive_prompt: prompt, ...settings }: Fields): GeneratorMetadata {
  return { prompt: asText(prompt), model: modelName(settings.model), settings };
}

function readOlderMetadata({ image, ...rest }: Fields): GeneratorMetadata {
  const { prompt, ...settings }: Fields = { ...rest, ...asFields(image) };
  return { prompt: weightedPrompt(prompt), model: asText(settings.model_weights), settings };
}

function readCommandLine(text: string): GeneratorMetadata | undefined {
  if (text.length > MAX_COMMAND_CHARS) return undefined;
  const [, prompt, flags] = COMMAND_LINE.exec(text.trim()) ?? [];
  if (prompt === undefined) return undefined;
  const settings = [...flags!.matchAll(/ -(\w)\s*(\S+)/g)].filter(([, flag]) => flag! in FLAGS);
  return {
    prompt,
    settings: Object.fromEntries(settings.map(([, flag, value]) => [FLAGS[flag!], settingValue(value!)])),
  };
}

function settingValue(value: string): unknown {
  return NUMBER.test(value) ? new ExactNumber(value) : value;
}

/** Accepts a name, or an object that has one. */
function modelName(model: unknown): string | undefined {
  const { name, model_name } = asFields(model);
  return asText(model) ?? asText(name) ?? asText(model_name);
}

/** Accepts one text, or several with weights. */
function weightedPrompt(prompt: unknown): string | undefined {
  if (!Array.isArray(prompt)) return asText(prompt);
  return prompt.map((part) => asText(asFields(part).prompt) ?? '').join(' ');
}
