/** Reads `parameters` that are JSON, as SwarmUI and Fooocus write them. */
import { asText, type Fields, parseFields } from './fields.ts';
import { modelOfFile, type Traces } from './traces.ts';

/** Undefined when the text is no such JSON: it may be a prompt with a brace in front. */
export function readJsonParameters(text: string): Traces | undefined {
  const { sui_image_params: ofSwarmUI, ...all } = attempt(text);
  const { prompt, ...settings } = (ofSwarmUI ?? all) as Fields;
  if (typeof prompt !== 'string') return undefined;
  const file = asText(settings.model) ?? asText(settings.base_model);
  return { prompt, model: file && modelOfFile(file), settings };
}

function attempt(json: string): Fields {
  try {
    return parseFields(json);
  } catch {
    return {};
  }
}
