/** Tells what the blocks of an image say of it, within the limits of a save. */
import { unreadableFor } from '../domain/parameters.ts';
import { readBlockTexts } from './block-texts.ts';
import { parseEmbeddedDate } from './date.ts';
import { readDialects } from './dialects.ts';
import type { EmbeddedMetadata } from './embedded-metadata.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';
import type { Blocks } from './metadata-blocks.ts';
import { parseTexts } from './texts.ts';

const MAX_PROMPT_BYTES = 64 * 1024;
const MAX_MODEL_BYTES = 1024;
/** The 1 MiB of all metadata, less room for the prompt, the model, category and tags. */
const MAX_PARAMETERS_BYTES = 1024 * 1024 - MAX_PROMPT_BYTES - 32 * 1024;

/** Rejects for some damaged blocks. */
export async function interpret(blocks: Blocks): Promise<EmbeddedMetadata> {
  const { texts, date } = readBlockTexts(blocks);
  return withinLimits(await readDialects(await parseTexts(texts)), parseEmbeddedDate(date));
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
