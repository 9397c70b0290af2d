/** Finds prompt, model and settings in the graph of nodes that ComfyUI embeds in its images. */
import { modelOfFile } from '../domain/model-file.ts';
import { asFields, ExactNumber, type Fields } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

interface Node {
  class_type: string;
  /** Values, and links to the nodes that compute them. */
  inputs: Record<string, unknown>;
}
type Link = [node: string, output: ExactNumber];

/** Inputs that hold the text of a text node; the first that is not empty counts. */
const TEXTS = [
  ...['text', 'prompt', 't5xxl', 'text_g', 'text_l', 'clip_g', 'clip_l', 'positive_prompt', 'text_positive'],
  ...['positive', 'populated_text', 'wildcard_text', 'string', 'value'],
];
const TEXT_PART = /^(string|text)_[a-z]$/;
/** Inputs that conditioning comes from, the most reliable first. */
const CONDITIONING = [
  'positive',
  'guider',
  'conditioning',
  'conditioning_1',
  'conditioning_to',
  'cond1',
  'text_embeds',
  'basic_pipe',
  'pipe',
];
/** Inputs that lead to no text, or to the wrong one. */
const NO_CONDITIONING =
  /negative|^(model|clip|clip_vision|clip_vision_output|vae|control_net|style_model|images?|pixels|mask|latent|latent_image|samples|noise|sampler|sigmas)$/;
const MODEL_LINKS = /^(model|model\d|model_high_noise|base_model|unet|guider|pipe|basic_pipe)$/;
const MODEL_NAMES = ['ckpt_name', 'unet_name', 'model_name'];
/** Inputs that hold the settings of a sampler composed of several nodes. */
const SAMPLER_PARTS = ['noise', 'sampler', 'sigmas', 'guider', 'pipe'];
const SETTINGS: Record<string, string[]> = {
  seed: ['seed', 'noise_seed'],
  steps: ['steps'],
  cfg: ['cfg'],
  sampler_name: ['sampler_name'],
  scheduler: ['scheduler'],
};
/** Names of the value in nodes that hold only a value. */
const PLAIN_VALUES = ['value', 'int', 'float', 'number', 'string'];

/** The most inputs that are looked at; those of a graph of a thousand nodes are some 10,000, looked at a few times. */
const MAX_STEPS = 200_000;
/** The most nodes between a sampler and what it is described by. */
const MAX_CHAIN = 300;
const MAX_TYPE_CHARS = 256;
const MAX_DELIMITER_CHARS = 1024;
/** Longer texts are no prompts that a save accepts. */
const MAX_PROMPT_CHARS = 64 * 1024 + 1;

/** A graph whose links lead nowhere once too many inputs were looked at. */
export class Graph {
  readonly #nodes: Map<string, Node>;
  /** How many inputs were looked at. */
  steps = 0;

  constructor(fields: Fields) {
    this.#nodes = new Map(Object.entries(fields).filter((entry): entry is [string, Node] => isNode(entry[1])));
  }

  get nodes(): Node[] {
    return [...this.#nodes.values()];
  }

  follow(value: unknown): Node | undefined {
    this.steps += 1;
    return this.steps <= MAX_STEPS && isLink(value) ? this.#nodes.get(value[0]) : undefined;
  }
}

/** Returns undefined when the fields are not a graph. `json` is its text. */
export function readComfyUI(fields: Fields, json: string): GeneratorMetadata | undefined {
  const graph = new Graph(fields);
  return graph.nodes.length === 0 ? undefined : { ...describe(graph), graph: json };
}

/** Returns what the graph says of the image that it saves. */
export function describe(graph: Graph): GeneratorMetadata {
  const sampler = firstSampler(graph);
  return {
    prompt: (sampler && promptOf(graph, sampler)) ?? anyPrompt(graph),
    model: (sampler && modelOf(graph, sampler, new Set())) ?? anyModel(graph),
    settings: sampler ? settingsOf(graph, sampler) : {},
  };
}

function isNode(value: unknown): value is Node {
  const { class_type, inputs } = asFields(value);
  return (
    typeof class_type === 'string' &&
    class_type.length <= MAX_TYPE_CHARS &&
    typeof inputs === 'object' &&
    inputs !== null
  );
}

function isLink(value: unknown): value is Link {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && value[1] instanceof ExactNumber;
}

/** Returns the nearest node that fits, among these nodes and their sources. */
function nearest(graph: Graph, nodes: Iterable<Node>, fits: (node: Node) => boolean): Node | undefined {
  const found = new Set(nodes);
  // A set that grows while it is iterated is a queue without duplicates.
  for (const node of found) {
    if (fits(node)) return node;
    for (const value of Object.values(node.inputs)) {
      const source = graph.follow(value);
      if (source !== undefined) found.add(source);
    }
  }
  return undefined;
}

/** Returns the first of the samplers that produced the saved image: later ones refine or enlarge it. */
function firstSampler(graph: Graph): Node | undefined {
  const { nodes } = graph;
  const saving = nodes.filter(({ class_type }) => /save/i.test(class_type));
  let sampler = nearest(graph, saving, isSampler) ?? nodes.find(isSampler);
  const seen = new Set<Node>();
  while (sampler !== undefined && !seen.has(sampler)) {
    seen.add(sampler);
    const latent = graph.follow(sampler.inputs.latent_image ?? sampler.inputs.samples);
    sampler = (latent && nearest(graph, [latent], isSampler)) ?? sampler;
  }
  return sampler;
}

function isSampler({ class_type, inputs }: Node): boolean {
  return (
    CONDITIONING.some((name) => isLink(inputs[name])) && (/sampler/i.test(class_type) || isLink(inputs.latent_image))
  );
}

function promptOf(graph: Graph, sampler: Node): string | undefined {
  const seen = new Set([sampler]);
  for (const name of CONDITIONING) {
    const text = textOf(graph, graph.follow(sampler.inputs[name]), seen);
    if (text !== undefined) return text;
  }
  return undefined;
}

/** Returns the text of a node or of its sources; empty when its inputs for text are empty. */
function textOf(graph: Graph, node: Node | undefined, seen: Set<Node>): string | undefined {
  if (node === undefined || !visits(seen, node)) return undefined;
  const read = (name: string) => {
    const value = node.inputs[name];
    return typeof value === 'string' ? value.slice(0, MAX_PROMPT_CHARS) : textOf(graph, graph.follow(value), seen);
  };
  const names = Object.keys(node.inputs);
  const parts = names.filter((name) => TEXT_PART.test(name));
  if (parts.length > 1) return joined(parts.map(read), node.inputs.delimiter);
  const others = names.filter((name) => isLink(node.inputs[name]) && !NO_CONDITIONING.test(name));
  const texts = [...TEXTS, ...CONDITIONING, ...others].map(read).filter((text) => text !== undefined);
  return texts.find((text) => text.trim() !== '') ?? texts[0];
}

function joined(parts: (string | undefined)[], delimiter: unknown): string {
  const text = parts
    .filter(Boolean)
    .join(typeof delimiter === 'string' ? delimiter.slice(0, MAX_DELIMITER_CHARS) : ' ');
  return text.slice(0, MAX_PROMPT_CHARS);
}

function anyPrompt(graph: Graph): string | undefined {
  const { nodes } = graph;
  const negatives = new Set(nodes.map(({ inputs }) => graph.follow(inputs.negative)));
  const encoders = nodes.filter((node) => /text.*encode/i.test(node.class_type) && !negatives.has(node));
  const seen = new Set<Node>();
  return encoders.map((node) => textOf(graph, node, seen)).find((text) => text?.trim());
}

/** Returns the name of the file that a node's model was loaded from, through any chain of links. */
function modelOf(graph: Graph, node: Node | undefined, seen: Set<Node>): string | undefined {
  if (node === undefined || !visits(seen, node)) return undefined;
  const own = modelName(node, MODEL_NAMES);
  if (own !== undefined) return own;
  for (const [name, value] of Object.entries(node.inputs)) {
    const model = MODEL_LINKS.test(name) ? modelOf(graph, graph.follow(value), seen) : undefined;
    if (model !== undefined) return model;
  }
  return undefined;
}

function anyModel(graph: Graph): string | undefined {
  const loaders = graph.nodes.filter(({ class_type }) => !/upscale/i.test(class_type));
  const names = MODEL_NAMES.flatMap((name) => loaders.map((node) => modelName(node, [name])));
  return names.find((name) => name !== undefined);
}

function modelName({ inputs }: Node, names: string[]): string | undefined {
  const file = names.map((name) => inputs[name]).find((value) => typeof value === 'string');
  return file && modelOfFile(file);
}

function settingsOf(graph: Graph, sampler: Node): Record<string, unknown> {
  const found = Object.entries(SETTINGS).map(([name, inputs]) => [name, settingOf(graph, sampler, inputs, new Set())]);
  return Object.fromEntries(found.filter(([, value]) => value !== undefined));
}

function settingOf(graph: Graph, node: Node | undefined, names: string[], seen: Set<Node>): unknown {
  if (node === undefined || !visits(seen, node)) return undefined;
  for (const value of names.map((name) => node.inputs[name])) {
    if (typeof value === 'string' || value instanceof ExactNumber) return value;
    const linked = settingOf(graph, graph.follow(value), withPlainValues(names), seen);
    if (linked !== undefined) return linked;
  }
  for (const part of SAMPLER_PARTS) {
    const value = settingOf(graph, graph.follow(node.inputs[part]), names, seen);
    if (value !== undefined) return value;
  }
  return undefined;
}

function withPlainValues(names: string[]): string[] {
  return names.includes(PLAIN_VALUES[0]!) ? names : [...names, ...PLAIN_VALUES];
}

/** Notes a visit. Returns false for a node that was visited before, and for one too far away. */
function visits(seen: Set<Node>, node: Node): boolean {
  if (seen.has(node) || seen.size >= MAX_CHAIN) return false;
  seen.add(node);
  return true;
}
