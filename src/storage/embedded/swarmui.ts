/** Reads the parameters of SwarmUI: JSON with all settings in `sui_image_params`. */
import { modelOfFile } from '../domain/model-file.ts';
import { asFields, asText, type Fields } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

/** Returns undefined when the parameters are not SwarmUI's. */
export function readSwarmUI({ sui_image_params: params }: Fields): GeneratorMetadata | undefined {
  if (params === undefined) return undefined;
  const { prompt, ...settings } = asFields(params);
  const model = asText(settings.model);
  return { prompt: asText(prompt), model: model && modelOfFile(model), settings };
}
