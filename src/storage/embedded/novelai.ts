/** Reads the metadata of NovelAI: the settings as JSON in `Comment`, the model in `Source`. */
import { asFields, asText, type Fields } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

export interface NovelAITexts {
  /** The fields of `Comment`. */
  comment: Fields;
  source?: string;
  description?: string;
}

/** The prompts of characters stay among the settings, in `v4_prompt`. */
export function readNovelAI({ comment, source, description }: NovelAITexts): GeneratorMetadata {
  const { prompt, uc, ...settings } = comment;
  const negative = asText(uc) || baseCaption(settings.v4_negative_prompt);
  return {
    prompt: asText(prompt) || baseCaption(settings.v4_prompt) || description,
    model: source,
    settings: negative === undefined ? settings : { ...settings, negative_prompt: negative },
  };
}

function baseCaption(prompt: unknown): string | undefined {
  return asText(asFields(asFields(prompt).caption).base_caption);
}
