/** Finds the names of LoRAs in a prompt, and in the lists that generators keep. */
import { modelOfFile } from './model-file.ts';

const IN_PROMPT = /<(?:lora|lyco|lycoris):([^:<>]{1,256})/gi;
/** `Loras:<ink.safetensors:1>` of RuinedFooocus. */
const IN_TEXT = /<([^:<>]{1,256})(?::-?[\d.]{1,16})?>/g;
/** Where an object names its LoRA, alone or in an object of its own. */
const NAMES = ['modelName', 'model_name', 'name', 'lora_name', 'file', 'path', 'filename', 'model', 'lora'];
const NO_LORA = /^(|none|null|false|true|undefined)$/i;
const MAX_NAME_CHARS = 256;
/** The most that are kept; people use a few. */
const MAX_LORAS = 64;
/** Lists within lists that are looked into. */
const MAX_DEPTH = 3;

/** Collects names in order and once. */
export class Loras {
  readonly #names = new Set<string>();

  get names(): string[] | undefined {
    return this.#names.size === 0 ? undefined : [...this.#names];
  }

  /** Adds those of `<lora:ink:0.8>`. */
  addPrompt(prompt: string): void {
    if (!prompt.includes('<')) return;
    for (const [, name] of prompt.matchAll(IN_PROMPT)) this.#addName(name!);
  }

  /** Adds those of the value of a field that lists LoRAs: a name, several, or objects that have one. */
  addList(value: unknown): void {
    this.#addAny(value, MAX_DEPTH);
  }

  /** Adds those of `ink: 4852686128ab, add: 11aa22bb33cc`. */
  addHashes(text: string): void {
    for (const part of text.split(',', MAX_LORAS)) this.#addName(part.split(':', 1)[0]!);
  }

  /** Adds those among the resources of Civitai. */
  addResources(resources: unknown): void {
    if (!Array.isArray(resources)) return;
    const isLora = (resource: unknown) => /^(lora|lycoris|locon|dora)$/i.test(String(fieldsOf(resource).type ?? ''));
    for (const resource of resources.slice(0, MAX_LORAS)) if (isLora(resource)) this.#addAny(resource, 1);
  }

  #addAny(value: unknown, depth: number): void {
    if (typeof value === 'string') this.#addText(value);
    if (typeof value !== 'object' || value === null || depth === 0) return;
    if (Array.isArray(value)) this.#addArray(value, depth);
    else this.#addAny(nameIn(value), depth - 1);
  }

  /** Adds all, or the first where the others are its weight and its hash. */
  #addArray(values: unknown[], depth: number): void {
    const isOne = typeof values[0] === 'string' && typeof values[1] === 'number';
    for (const value of values.slice(0, isOne ? 1 : MAX_LORAS)) this.#addAny(value, depth - 1);
  }

  #addText(text: string): void {
    if (!text.includes('<')) this.#addName(text);
    for (const [, name] of text.slice(0, MAX_NAME_CHARS * MAX_LORAS).matchAll(IN_TEXT)) this.#addName(name!);
  }

  #addName(text: string): void {
    // Fooocus writes `ink : 0.8`.
    const name = text.length > MAX_NAME_CHARS ? '' : modelOfFile(text.replace(/ : -?[\d.]+$/, '').trim());
    if (!NO_LORA.test(name) && this.#names.size < MAX_LORAS) this.#names.add(name.toWellFormed().replaceAll('\0', ''));
  }
}

function nameIn(value: object): unknown {
  const fields = fieldsOf(value);
  return NAMES.map((name) => fields[name]).find((name) => typeof name === 'string' || isObject(name));
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
