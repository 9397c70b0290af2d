/** Reads the metadata of NovelAI's PNGs: the settings as JSON in `Comment`, the model in `Source`. */
import { asText } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';
import type { Texts } from './texts.ts';

/** Returns undefined when the texts are not NovelAI's. */
export function readNovelAI(texts: Texts): GeneratorMetadata | undefined {
  if (texts.get('Software') !== 'NovelAI') return undefined;
  const { prompt, uc, ...settings } = texts.fieldsOf('Comment') ?? {};
  return {
    prompt: asText(prompt) ?? texts.get('Description'),
    model: texts.get('Source'),
    settings: uc === undefined ? settings : { ...settings, negative_prompt: uc },
  };
}
