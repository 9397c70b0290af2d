/** Reads what NovelAI leaves in its PNGs: the settings as JSON in `Comment`, the model in `Source`. */
import { asText, parseFields } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

/** Undefined when the texts are not NovelAI's. */
export function readNovelAI(texts: Map<string, string>): GeneratorMetadata | undefined {
  if (texts.get('Software') !== 'NovelAI') return undefined;
  const { prompt, uc, ...settings } = parseFields(texts.get('Comment') ?? '{}');
  return {
    prompt: asText(prompt) ?? texts.get('Description'),
    model: texts.get('Source'),
    settings: uc === undefined ? settings : { ...settings, negative_prompt: uc },
  };
}
