/**
 * Reads the metadata of InvokeAI's PNGs: `invokeai_metadata`, formerly `sd-metadata`, and originally a command line.
 */
import { asText, ExactNumber, type Fields, parseFields } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

/** `"a fox" -s 50 -S 1234 -W 512 …` */
const COMMAND_LINE = /^"(.*)"(.*)$/s;
const FLAGS: Record<string, string> = { s: 'steps', S: 'seed', W: 'width', H: 'height', C: 'cfg_scale', A: 'sampler' };
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?$/;

/** Returns undefined when no text is InvokeAI's. */
export function readInvokeAI(texts: Map<string, string>): GeneratorMetadata | undefined {
  const newest = texts.get('invokeai_metadata');
  if (newest !== undefined) return readMetadata(newest);
  const older = texts.get('sd-metadata');
  if (older !== undefined) return readOlderMetadata(older);
  const oldest = texts.get('Dream') ?? texts.get('dream');
  return oldest === undefined ? undefined : readCommandLine(oldest);
}

function readMetadata(text: string): GeneratorMetadata | undefined {
  const { positive_prompt: prompt, ...settings } = parseFields(text);
  return { prompt: asText(prompt), model: modelName(settings.model), settings };
}

function readOlderMetadata(text: string): GeneratorMetadata | undefined {
  const { image, ...rest } = parseFields(text);
  const { prompt, ...settings } = { ...rest, ...(image as Fields) } as Fields;
  return { prompt: weightedPrompt(prompt), model: asText(settings.model_weights), settings };
}

function readCommandLine(text: string): GeneratorMetadata | undefined {
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
  const { name, model_name } = (model ?? {}) as Fields;
  return asText(model) ?? asText(name) ?? asText(model_name);
}

/** Accepts one text, or several with weights. */
function weightedPrompt(prompt: unknown): string | undefined {
  if (!Array.isArray(prompt)) return asText(prompt);
  return prompt.map((part: Fields) => asText(part.prompt) ?? '').join(' ');
}
