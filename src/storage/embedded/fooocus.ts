/** Reads the `parameters` of Fooocus: a flat JSON object of settings, which some other generators write, too. */
import { modelOfFile } from '../domain/model-file.ts';
import { asText, type Fields } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

/** Returns undefined when the parameters have no prompt. */
export function readFooocus({ prompt, ...settings }: Fields): GeneratorMetadata | undefined {
  if (typeof prompt !== 'string') return undefined;
  const model = asText(settings.model) ?? asText(settings.base_model);
  return { prompt, model: model && modelOfFile(model), settings };
}
