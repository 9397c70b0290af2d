/** Tells which generator wrote the texts of an image, and reads them as that generator means them. */
import { readA1111 } from './a1111.ts';
import { readComfyUI, readComfyUIWorkflow } from './comfyui.ts';
import { asFields, asText, type Fields, settingOf } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';
import { readInvokeAI } from './invokeai.ts';
import { readMidjourney } from './midjourney.ts';
import { readNovelAI } from './novelai.ts';
import { readSettingsJson } from './settings-json.ts';
import { readSwarmUI } from './swarmui.ts';
import { parsedInSlices, type Texts } from './texts.ts';

/** JSON, whole or cut; a prompt may begin with a brace, too. */
const LOOKS_LIKE_JSON = /^\s*\{\s*"[^"]{0,100}"\s*:/;
const JSON_BEGINNING = /^\s*[[{]\s*["[{]/;
/** The values of JSON within JSON. */
const MAX_INNER_VALUES = 5000;

/** The graph takes precedence; other texts fill in what it lacks. */
export async function readDialects(texts: Texts): Promise<GeneratorMetadata> {
  const graph = readGraph(texts);
  const text = (await readParameters(texts)) ?? readInvokeAI(texts) ?? readComment(texts) ?? readPlain(texts);
  if (graph === undefined && text === undefined) return readWorkflow(texts) ?? { settings: {} };
  return merged(graph, text);
}

/** The first takes precedence. */
function merged(graph: GeneratorMetadata | undefined, text: GeneratorMetadata | undefined): GeneratorMetadata {
  return {
    prompt: graph?.prompt || text?.prompt,
    model: graph?.model || text?.model,
    settings: { ...text?.settings, ...graph?.settings },
    graph: graph?.graph ?? text?.graph,
  };
}

function readGraph(texts: Texts): GeneratorMetadata | undefined {
  const fields = texts.fieldsOf('prompt');
  return (
    fields && (readComfyUI(fields, texts.jsonOf('prompt')!) ?? readNestedGraph(fields) ?? readSettingsJson(fields))
  );
}

function readWorkflow(texts: Texts): GeneratorMetadata | undefined {
  const fields = texts.fieldsOf('workflow');
  return fields && readComfyUIWorkflow(fields, texts.jsonOf('workflow')!);
}

/** Text that is not JSON may still be a prompt that begins with a brace. */
async function readParameters(texts: Texts): Promise<GeneratorMetadata | undefined> {
  const text = texts.get('parameters');
  if (text === undefined) return undefined;
  const fields = texts.fieldsOf('parameters');
  if (fields !== undefined) return readJson(fields, texts.jsonOf('parameters')!);
  return LOOKS_LIKE_JSON.test(text) ? undefined : readA1111(text);
}

/** A JSON object is no prompt, even when its generator is not known. */
async function readJson(fields: Fields, json: string): Promise<GeneratorMetadata | undefined> {
  const known =
    readSwarmUI(fields) ??
    (await readNestedNovelAI(fields)) ??
    (await readCivitai(fields, json)) ??
    readComfyUI(fields, json) ??
    readNestedGraph(fields) ??
    readSettingsJson(fields);
  if (known !== undefined) return known;
  return Array.isArray(fields) ? undefined : { settings: fields };
}

/** A graph of ComfyUI, and beside it what its user asked for as JSON. */
async function readCivitai(fields: Fields, json: string): Promise<GeneratorMetadata | undefined> {
  const asked = await parsedInSlices(asText(fields.extraMetadata), { values: MAX_INNER_VALUES });
  const [graph, settings] = [readComfyUI(fields, json), asked && readSettingsJson(asFields(asked.value))];
  return graph && settings && merged(graph, settings);
}

/** Both graphs of ComfyUI as fields, as some nodes write them into a comment. */
function readNestedGraph({ prompt }: Fields): GeneratorMetadata | undefined {
  return typeof prompt === 'object' && prompt !== null
    ? readComfyUI(asFields(prompt), JSON.stringify(prompt))
    : undefined;
}

/** NovelAI's texts of a PNG as fields, in the comment of a WebP. */
async function readNestedNovelAI(fields: Fields): Promise<GeneratorMetadata | undefined> {
  if (fields.Software !== 'NovelAI') return undefined;
  const comment = await parsedInSlices(asText(fields.Comment), { values: MAX_INNER_VALUES });
  const description = asText(fields.Description);
  return readNovelAI({ comment: asFields(comment?.value), source: asText(fields.Source), description });
}

/** Returns undefined when the comment is none of NovelAI's or Fooocus-MRE's. */
function readComment(texts: Texts): GeneratorMetadata | undefined {
  const comment = texts.fieldsOf('Comment');
  if (texts.get('Software') === 'NovelAI') {
    return readNovelAI({ comment: comment ?? {}, source: texts.get('Source'), description: texts.get('Description') });
  }
  return comment && readSettingsJson(comment);
}

/** Reads texts that are one setting each, as Easy Diffusion and sd-scripts write them, or Midjourney's description. */
function readPlain(texts: Texts): GeneratorMetadata | undefined {
  const prompt = texts.get('prompt');
  if (prompt === undefined || JSON_BEGINNING.test(prompt)) return readMidjourney(texts.get('Description') ?? '');
  const settings = Object.fromEntries(texts.settings().map(([name, text]) => [name, settingOf(text)]));
  return readSettingsJson({ ...settings, prompt });
}
