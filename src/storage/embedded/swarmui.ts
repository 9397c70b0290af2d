/** Reads the `parameters` of SwarmUI: JSON with all settings in `sui_image_params`. */
import { modelOfFile } from '../domain/model-file.ts';
import { asFields, asText, type Fields } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

/** Returns undefined when the parameters are not SwarmUI's. */
export function readSwarmUI({ sui_image_params: params }: Fields): GeneratorMetadata | undefined {
  const { prompt, ...settings } = asFields(params);
  if (typeof prompt !== 'string') return undefined;
  const model = asText(settings.model);
  return { prompt, model: model && modelOfFile(model), settings };
}
