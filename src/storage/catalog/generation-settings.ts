/** What is read of an image's parameters so that it can be searched and shown. */
import { generationOf } from '../domain/generation.ts';
import type { Generation } from '../domain/image.ts';
import { eachField } from '../domain/json-fields.ts';
import type { ImageRecord } from '../domain/record.ts';

export interface Settings {
  /** Unset where the parameters name nothing. */
  generation?: Generation | undefined;
  hasWorkflow: boolean;
}

/** The fields of ComfyUI's graph, as our reader names it and as others do. */
const WORKFLOWS = ['comfyui', 'workflow'];
const MAX_FIELDS = 4096;

/** Never throws. */
export function settingsOf(image: Pick<ImageRecord, 'prompt' | 'parametersJson'>): Settings {
  return { generation: generationOf(image), hasWorkflow: hasWorkflow(image.parametersJson) };
}

/** Returns the text that a catalog keeps; empty for nothing. */
export function generationText(generation: Generation | undefined): string {
  return generation === undefined ? '' : JSON.stringify(generation);
}

export function parseGeneration(text: string): Generation | undefined {
  return text === '' ? undefined : (JSON.parse(text) as Generation);
}

function hasWorkflow(json: string): boolean {
  if (!WORKFLOWS.some((name) => json.includes(`"${name}"`))) return false;
  let found = false;
  eachField(json, MAX_FIELDS, (name, value) => {
    found ||= WORKFLOWS.includes(name) && /^(\{|"\{)/.test(value);
  });
  return found;
}
