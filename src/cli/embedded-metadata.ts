/** Reads the prompt, model and parameters that a generator (ComfyUI, A1111) left in its PNG. */
import { readA1111 } from './embedded/a1111.ts';
import { readComfyUI } from './embedded/comfyui.ts';
import { readPngTexts } from './embedded/png-text.ts';
import type { Traces } from './embedded/traces.ts';

export interface EmbeddedMetadata {
  prompt?: string;
  /** Without folders and extension. */
  model?: string;
  /** One JSON object: the generator's settings, numbers as they were written, and ComfyUI's graph as `comfyui`. */
  parametersJson?: string;
}

const MAX_PROMPT_BYTES = 64 * 1024;
const MAX_MODEL_BYTES = 1024;
/** The 1 MiB of all metadata, less room for the prompt, the model, category and tags. */
const MAX_PARAMETERS_BYTES = 1024 * 1024 - MAX_PROMPT_BYTES - 32 * 1024;

/** What is found within the limits of a save; `bytes` may be the beginning of a file. Never throws: garbage is nothing. */
export function readEmbeddedMetadata(bytes: Uint8Array): EmbeddedMetadata {
  try {
    return withinLimits(tracesIn(readPngTexts(bytes)));
  } catch {
    return {};
  }
}

/** The graph says what was done; a text beside it fills in what the graph does not tell. */
function tracesIn(texts: Map<string, string>): Traces {
  const graph = readComfyUI(texts.get('prompt') ?? '');
  const text = texts.has('parameters') ? readA1111(texts.get('parameters')!) : undefined;
  return {
    prompt: graph?.prompt || text?.prompt,
    model: graph?.model || text?.model,
    settings: { ...text?.settings, ...graph?.settings },
    graph: graph?.graph,
  };
}

function withinLimits({ prompt, model, settings, graph }: Traces): EmbeddedMetadata {
  const settingsJson = JSON.stringify(settings);
  const candidates = graph === undefined ? [settingsJson] : [withGraph(settingsJson, graph), settingsJson];
  const found = {
    prompt: cleaned(prompt, MAX_PROMPT_BYTES),
    model: cleaned(model, MAX_MODEL_BYTES),
    parametersJson: candidates.find((json) => json !== '{}' && Buffer.byteLength(json) <= MAX_PARAMETERS_BYTES),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

/** Joined as text, so that every number of the graph stays as it was written. */
function withGraph(settingsJson: string, graph: string): string {
  const settings = settingsJson.slice(1, -1);
  return `{${settings}${settings && ','}"comfyui":${graph}}`;
}

/** As a save accepts it: well-formed, without NUL; nothing where it is empty or too long. */
function cleaned(text: string | undefined, maxBytes: number): string | undefined {
  const clean = text?.toWellFormed().replaceAll('\0', '').trim();
  return clean && Buffer.byteLength(clean) <= maxBytes ? clean : undefined;
}
