/** Derives the settings of a generation from its parameters, by the names that each generator has for them. */
import type { Generation } from './image.ts';
import { eachField } from './json-fields.ts';
import { Loras } from './loras.ts';

/**
 * The names of each setting, in the order in which they take precedence; without case and without all but letters and
 * digits, so that `cfgscale` is `CFG scale` of A1111, `cfg_scale` of InvokeAI and `cfgscale` of SwarmUI.
 */
const NAMES = {
  // `uc` is NovelAI's and Draw Things', `negative` RuinedFooocus'.
  negativePrompt: ['negativeprompt', 'uc', 'negative', 'negprompt', 'undesiredcontent'],
  seed: ['seed', 'noiseseed', 'imageseed', 'rngseed', 'generatorseed', 'randomseed'],
  // `num_inference_steps` is that of diffusers and Easy Diffusion.
  steps: ['steps', 'numinferencesteps', 'inferencesteps', 'samplingsteps', 'numsteps', 'ddimsteps'],
  // `guidance` is Flux', `scale` NovelAI's and Draw Things'.
  cfg: ['cfg', 'cfgscale', 'guidancescale', 'distilledcfgscale', 'guidance', 'scale'],
  sampler: ['sampler', 'samplername', 'samplingmethod', 'samplerindex'],
  // `Schedule type` is A1111's, `noise_schedule` NovelAI's.
  scheduler: ['scheduler', 'scheduletype', 'schedulername', 'noiseschedule', 'schedulertype', 'sigmaschedule'],
  width: ['width', 'imagewidth'],
  height: ['height', 'imageheight'],
  size: ['size', 'resolution', 'imagesize'],
} as const;
type Setting = keyof typeof NAMES;

/** Objects that hold the settings. */
const WRAPPERS = new Set(['suiimageparams', 'parameters', 'params', 'settings', 'generation', 'generationparams']);
const LORA_LIST = /^(?:use)?(?:lora|lyco)s?(?:names?|models?|files?|paths?|combined)?\d*$|^l\d$/;

/** More than there are names of a setting. */
const MAX_RANK = 100;
/** The most fields that are looked at; those of a generator are some 30. */
const MAX_FIELDS = 4096;
const MAX_NAME_CHARS = 40;
const MAX_PROMPT_BYTES = 64 * 1024;
const MAX_TEXT_CHARS = 256;
/** Longer lists are left unread. */
const MAX_LIST_CHARS = 64 * 1024;
const MAX_UINT32 = 2 ** 32 - 1;

const NUMBER = /^-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
/** Python writes some as 42.0. */
const SEED = /^(-?\d{1,32})(?:\.0)?$/;
/** `512x768`, `(1152, 896)`, `[512, 768]`. */
const SIZE = /^[[(]?\s*(\d{1,6})\s*[x×*,]\s*(\d{1,6})\s*[\])]?$/i;

interface Known {
  setting: Setting;
  rank: number;
}
const KNOWN = new Map<string, Known>(
  Object.entries(NAMES).flatMap(([setting, names]) =>
    names.map((name, rank): [string, Known] => [name, { setting: setting as Setting, rank }]),
  ),
);

/** How the text of a value is read; undefined where it makes no sense. */
const READ: { [S in Setting]: (json: string) => unknown } = {
  negativePrompt: promptOf,
  seed: seedOf,
  steps: countOf,
  cfg: (json) => {
    const value = numberOf(json);
    return value !== undefined && value >= 0 ? value : undefined;
  },
  sampler: nameOf,
  scheduler: nameOf,
  width: countOf,
  height: countOf,
  size: (json) => {
    const [, width, height] = SIZE.exec(json.startsWith('[') ? json.slice(0, MAX_TEXT_CHARS) : scalarOf(json)) ?? [];
    return width === undefined ? undefined : { width: countOf(width), height: countOf(height!) };
  },
};

/**
 * Returns what the parameters and the prompt name; undefined when that is nothing. Never throws. A value that makes no
 * sense (no number, negative steps, a text longer than a prompt may be) counts as none.
 */
export function generationOf(image: { prompt: string; parametersJson: string }): Generation | undefined {
  const found = new Found();
  found.loras.addPrompt(image.prompt);
  if (image.parametersJson.length > 2) found.addFields(image.parametersJson, true);
  const { size, ...settings } = found.values;
  const hasSize = settings.width !== undefined || settings.height !== undefined;
  const generation = { ...(hasSize ? {} : size), ...settings, loras: found.loras.names };
  if (generation.loras === undefined) delete generation.loras;
  return Object.keys(generation).length === 0 ? undefined : generation;
}

class Found {
  readonly values: Generation & { size?: { width?: number; height?: number } } = {};
  readonly loras = new Loras();
  readonly #ranks: { [S in Setting]?: number } = {};

  /** What stands outside takes precedence over what is wrapped. */
  addFields(json: string, isOuter: boolean): void {
    const wrapped: string[] = [];
    eachField(json, MAX_FIELDS, (name, value) => {
      if (name.length > MAX_NAME_CHARS) return;
      const key = name.toLowerCase().replace(/[^a-z0-9]+/g, '');
      const known = KNOWN.get(key);
      if (known !== undefined) this.#add(known.setting, isOuter ? known.rank : known.rank + MAX_RANK, value);
      else if (WRAPPERS.has(key)) wrapped.push(value);
      else this.#addLoras(key, value);
    });
    if (isOuter) for (const value of wrapped.slice(0, WRAPPERS.size)) this.addFields(value, false);
  }

  #add(setting: Setting, rank: number, json: string): void {
    if (rank >= (this.#ranks[setting] ?? Number.POSITIVE_INFINITY)) return;
    const value = READ[setting](json);
    if (value === undefined) return;
    this.#ranks[setting] = rank;
    Object.assign(this.values, { [setting]: value });
  }

  #addLoras(key: string, json: string): void {
    if (json.length > MAX_LIST_CHARS) return;
    if (LORA_LIST.test(key)) this.loras.addList(parsed(json));
    else if (key === 'lorahashes') this.loras.addHashes(scalarOf(json, MAX_LIST_CHARS));
    else if (key === 'civitairesources') this.loras.addResources(parsed(json));
  }
}

/** Returns the value of a text, or the number as it was written; empty for another value and a longer one. */
function scalarOf(json: string, maxChars = MAX_TEXT_CHARS): string {
  // A character may be escaped by six.
  if (json.length > maxChars * 6 + 2 || json.startsWith('[') || json.startsWith('{')) return '';
  const value = json.startsWith('"') ? parsed(json) : json;
  return typeof value === 'string' && value.length <= maxChars ? value.trim() : '';
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function promptOf(json: string): string | undefined {
  const text = json.startsWith('[') ? firstOf(json) : json.startsWith('"') ? scalarOf(json, MAX_PROMPT_BYTES) : '';
  const clean = text.toWellFormed().replaceAll('\0', '');
  return clean === '' || Buffer.byteLength(clean) > MAX_PROMPT_BYTES ? undefined : clean;
}

/** Diffusers takes a list of prompts. */
function firstOf(json: string): string {
  const list = json.length <= MAX_LIST_CHARS ? parsed(json) : [];
  const first: unknown = Array.isArray(list) ? list[0] : undefined;
  return typeof first === 'string' ? first.trim() : '';
}

function nameOf(json: string): string | undefined {
  return json.startsWith('"') ? scalarOf(json).toWellFormed().replaceAll('\0', '') || undefined : undefined;
}

/** Minus one stands for a random seed. */
function seedOf(json: string): string | undefined {
  const seed = SEED.exec(scalarOf(json))?.[1];
  return seed === '-1' ? undefined : seed;
}

function numberOf(json: string): number | undefined {
  const text = scalarOf(json);
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : undefined;
}

/** A whole number from 1 on. */
function countOf(json: string): number | undefined {
  const value = numberOf(json);
  return value !== undefined && Number.isInteger(value) && value >= 1 && value <= MAX_UINT32 ? value : undefined;
}
