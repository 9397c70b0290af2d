/**
 * Reads the prompt, model, parameters and date that a generator (ComfyUI, A1111, InvokeAI, NovelAI) embedded in its
 * image.
 */
import { unreadableFor } from '../domain/parameters.ts';
import { png } from '../formats/png.ts';
import { readA1111 } from './a1111.ts';
import { type BlockTexts, readBlockTexts } from './block-texts.ts';
import { findBlocks } from './blocks.ts';
import { readComfyUI } from './comfyui.ts';
import { parseEmbeddedDate } from './date.ts';
import { readFooocus } from './fooocus.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';
import { readInvokeAI } from './invokeai.ts';
import { readNovelAI } from './novelai.ts';
import { readPngTexts } from './png-text.ts';
import type { ReadAt } from './read-at.ts';
import { readSwarmUI } from './swarmui.ts';
import { parseTexts, type Texts } from './texts.ts';

export interface EmbeddedMetadata {
  prompt?: string;
  /** Without folders and extension. */
  model?: string;
  /** One JSON object: the generator's settings, numbers as they were written, and ComfyUI's graph as `comfyui`. */
  parametersJson?: string;
  /** When the image was generated; UTC when no zone is given. */
  timestamp?: Date;
}

/** Enough to detect the type. */
const TYPE_BYTES = 12;
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
    const { texts, date } = await readTexts(readAt);
    return withinLimits(readDialects(await parseTexts(texts)), parseEmbeddedDate(date));
  } catch {
    return {};
  }
}

async function readTexts(readAt: ReadAt): Promise<BlockTexts> {
  const head = await readAt(0, TYPE_BYTES);
  if (!png.matches(head)) return readBlockTexts(await findBlocks(readAt, head));
  const texts = await readPngTexts(readAt);
  return { texts, date: texts.get('Creation Time') };
}

/** The graph takes precedence; other texts fill in what it lacks. */
function readDialects(texts: Texts): GeneratorMetadata {
  const fields = texts.fieldsOf('prompt');
  const graph = fields && readComfyUI(fields, texts.jsonOf('prompt')!);
  const text = readParameters(texts) ?? readInvokeAI(texts) ?? readNovelAI(texts);
  return {
    prompt: graph?.prompt || text?.prompt,
    model: graph?.model || text?.model,
    settings: { ...text?.settings, ...graph?.settings },
    graph: graph?.graph,
  };
}

/** Text that is not JSON may still be a prompt that begins with a brace. */
function readParameters(texts: Texts): GeneratorMetadata | undefined {
  const text = texts.get('parameters');
  if (text === undefined) return undefined;
  const fields = texts.fieldsOf('parameters') ?? {};
  return readSwarmUI(fields) ?? readFooocus(fields) ?? readA1111(text);
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
function withGraph(settingsJson: string, graph: string): string {
  const settings = settingsJson.slice(1, -1);
  return `{${settings}${settings && ','}"comfyui":${graph}}`;
}

/** Returns the text as a save accepts it, well-formed and without NUL; undefined when it is empty or too long. */
function cleaned(text: string | undefined, maxBytes: number): string | undefined {
  const clean = text?.toWellFormed().replaceAll('\0', '').trim();
  return clean && Buffer.byteLength(clean) <= maxBytes ? clean : undefined;
}
