/** Reads the metadata of NovelAI's PNGs: the settings as JSON in `Comment`, the model in `Source`. */
import { asText, parseFields } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

/** Returns undefined when the texts are not NovelAI's. */
export function readNovelAI(texts: Map<string, string>): GeneratorMetadata | undefined {
  if (texts.get('Software') !== 'NovelAI') return undefined;
  const { prompt, uc, ...settings } = parseFields(texts.get('Comment') ?? '{}');
  return {
    prompt: asText(prompt) ?? texts.get('Description'),
    model: texts.get('Source'),
    settings: uc === undefined ? settings : { ...settings, negative_prompt: uc },
  };
}
