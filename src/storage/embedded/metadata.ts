/** Reads the prompt, model, parameters and date that a generator embedded in its image (docs/generators.md). */
import { unreadableFor } from '../domain/parameters.ts';
import { readBlockTexts } from './block-texts.ts';
import { findBlocks } from './blocks.ts';
import { parseEmbeddedDate } from './date.ts';
import { readDialects } from './dialects.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';
import type { ReadAt } from './read-at.ts';
import { parseTexts } from './texts.ts';
import { windowed } from './window.ts';

export interface EmbeddedMetadata {
  prompt?: string;
  /** Without folders and extension. */
  model?: string;
  /**
   * One JSON object: the generator's settings, numbers as they were written, and ComfyUI's graph as `comfyui` or
   * `workflow`.
   */
  parametersJson?: string;
  /** When the image was generated; UTC when no zone is given. */
  timestamp?: Date;
}

const MAX_PROMPT_BYTES = 64 * 1024;
const MAX_MODEL_BYTES = 1024;
/** The 1 MiB of all metadata, less room for the prompt, the model, category and tags. */
const MAX_PARAMETERS_BYTES = 1024 * 1024 - MAX_PROMPT_BYTES - 32 * 1024;

/**
 * Returns what fits the limits of a save: text of a PNG, else EXIF and XMP. Never rejects: what is damaged, or beyond the
 * bounds of its reader, counts as none. Bounded in time, whatever the file holds.
 */
export async function readEmbeddedMetadata(readAt: ReadAt): Promise<EmbeddedMetadata> {
  try {
    const { texts, date } = readBlockTexts(await findBlocks(windowed(readAt)));
    return withinLimits(await readDialects(await parseTexts(texts)), parseEmbeddedDate(date));
  } catch {
    return {};
  }
}

function withinLimits(
  { prompt, model, settings, graph }: GeneratorMetadata,
  timestamp: Date | undefined,
): EmbeddedMetadata {
  const settingsJson = JSON.stringify(settings);
  const candidates = graph === undefined ? [settingsJson] : [withGraph(settingsJson, graph), settingsJson];
  const found = {
    prompt: cleaned(prompt, MAX_PROMPT_BYTES),
    model: cleaned(model, MAX_MODEL_BYTES),
    parametersJson: candidates.find((json) => json !== '{}' && isAccepted(json)),
    timestamp,
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

function isAccepted(parametersJson: string): boolean {
  return Buffer.byteLength(parametersJson) <= MAX_PARAMETERS_BYTES && unreadableFor(parametersJson) === undefined;
}

/** Joins the JSON as text, so that every number of the graph stays as it was written. */
function withGraph(settingsJson: string, { name, json }: { name: string; json: string }): string {
  const settings = settingsJson.slice(1, -1);
  return `{${settings}${settings && ','}"${name}":${json}}`;
}

/** Returns the text as a save accepts it, well-formed and without NUL; undefined when it is empty or too long. */
function cleaned(text: string | undefined, maxBytes: number): string | undefined {
  const clean = text?.toWellFormed().replaceAll('\0', '').trim();
  return clean && Buffer.byteLength(clean) <= maxBytes ? clean : undefined;
}
