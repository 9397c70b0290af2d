/**
 * Reads settings that are one JSON object without much structure: those of Fooocus, RuinedFooocus, Fooocus-MRE, Easy
 * Diffusion and Draw Things, and of others that write like them.
 */
import { modelOfFile } from '../domain/model-file.ts';
import { asFields, asText, type Fields } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

/** `Prompt` is RuinedFooocus', `c` Draw Things'. */
const PROMPTS = ['prompt', 'Prompt', 'positive_prompt', 'positivePrompt', 'positive', 'c'];
const MODELS = [
  ...['model', 'base_model', 'base_model_name', 'use_stable_diffusion_model', 'Model', 'model_name', 'modelName'],
  ...['sd_model_name', 'sd_model_checkpoint', 'ckpt_name', 'checkpoint', 'base_model_filename'],
];

/** Returns undefined when the fields have no prompt. */
export function readSettingsJson(fields: Fields): GeneratorMetadata | undefined {
  const name = PROMPTS.find((candidate) => typeof fields[candidate] === 'string');
  if (name === undefined) return undefined;
  const { [name]: prompt, ...settings } = fields;
  return { prompt: asText(prompt), model: modelIn(settings), settings };
}

/** Returns the name of the model among settings; it may be an object that has one. */
export function modelIn(settings: Fields): string | undefined {
  const names = MODELS.map((name) => {
    const { name: inner, model_name: older } = asFields(settings[name]);
    return asText(settings[name]) ?? asText(inner) ?? asText(older);
  });
  const file = names.find((name) => name?.trim());
  return file && modelOfFile(file);
}
