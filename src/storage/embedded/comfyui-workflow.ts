/** Turns the graph that ComfyUI's editor draws into the one that it runs, as far as the names of values are known. */
import { isModelFile } from '../domain/model-file.ts';
import { asFields, asText, ExactNumber, type Fields } from './fields.ts';

/** The names of the values of a node, in the order of its widgets; '' is the control behind a seed. */
const WIDGETS: Record<string, string[]> = {
  KSampler: ['seed', '', 'steps', 'cfg', 'sampler_name', 'scheduler', 'denoise'],
  KSamplerAdvanced: ['add_noise', 'noise_seed', '', 'steps', 'cfg', 'sampler_name', 'scheduler'],
  SamplerCustom: ['add_noise', 'noise_seed', '', 'cfg'],
  RandomNoise: ['noise_seed', ''],
  BasicScheduler: ['scheduler', 'steps', 'denoise'],
  KSamplerSelect: ['sampler_name'],
  CFGGuider: ['cfg'],
  FluxGuidance: ['guidance'],
  CLIPTextEncode: ['text'],
  CLIPTextEncodeFlux: ['clip_l', 't5xxl', 'guidance'],
  CLIPTextEncodeSDXL: ['width', 'height', 'crop_w', 'crop_h', 'target_width', 'target_height', 'text_g', 'text_l'],
  CheckpointLoaderSimple: ['ckpt_name'],
  UNETLoader: ['unet_name', 'weight_dtype'],
  UnetLoaderGGUF: ['unet_name'],
  LoraLoader: ['lora_name', 'strength_model', 'strength_clip'],
  LoraLoaderModelOnly: ['lora_name', 'strength_model'],
  CheckpointLoader: ['', 'ckpt_name'],
  'Efficient Loader': [
    ...['ckpt_name', '', '', 'lora_name', '', '', 'positive', 'negative', '', ''],
    ...['empty_latent_width', 'empty_latent_height'],
  ],
  'KSampler (Efficient)': ['seed', '', 'steps', 'cfg', 'sampler_name', 'scheduler'],
  'LoRA Stacker': ['', 'lora_count', 'lora_name_1', '', '', '', 'lora_name_2', '', '', '', 'lora_name_3'],
  XlabsSampler: ['noise_seed', '', 'steps', '', 'cfg'],
  SDTurboScheduler: ['steps', 'denoise'],
  'SDXL Empty Latent Image (rgthree)': ['dimensions'],
  EmptyLatentImage: ['width', 'height', 'batch_size'],
  EmptySD3LatentImage: ['width', 'height', 'batch_size'],
};
const CONTROL = /^(fixed|increment|decrement|randomize)$/;
const MUTED = '2';
const BYPASSED = '4';
/** What only gives a link a name, for readers of the drawing. */
const SET_NODE = /^(SetNode|easy setNode)$/;
const GET_NODE = /^(GetNode|easy getNode)$/;

/** The most nodes. */
const MAX_NODES = 5000;
/** The most nodes and links, those of a subgraph counted for each use. */
const MAX_PARTS = 10_000;
/** The most inputs and values of a node. */
const MAX_INPUTS = 200;
/** The most levels of subgraphs, and of borders that a link crosses. */
const MAX_DEPTH = 16;
/** The nodes that stand in a subgraph for its inputs and its outputs. */
const [INPUTS, OUTPUTS] = ['-10', '-20'];

type Link = [node: string, output: ExactNumber];

interface Drawing {
  /** The subgraphs by id. */
  definitions: ReadonlyMap<string, Fields>;
  /** How many nodes and links may still be looked at. */
  partsLeft: number;
}

/** Returns nodes by id, none for fields that are no such graph. */
export function graphOfWorkflow(fields: Fields): Fields {
  const subgraphs = listOf(asFields(fields.definitions).subgraphs).map(asFields);
  const definitions = new Map(subgraphs.map((subgraph) => [textOf(subgraph.id), subgraph]));
  const levels = [new Level(fields, { definitions, partsLeft: MAX_PARTS })];
  // A list that grows while it is iterated.
  for (const level of levels) levels.push(...level.inner());
  return Object.fromEntries(levels.flatMap((level) => level.entries()).slice(0, MAX_NODES));
}

/** A graph, or one use of a subgraph in it. */
class Level {
  readonly #nodes: Fields[];
  readonly #links: Map<string, { origin: string; slot: ExactNumber }>;
  /** The links to its outputs. */
  readonly #outputs: Map<string, string>;
  /** The names of its inputs, and the links around it by these names. */
  readonly #inputNames: unknown[];
  readonly #inputs: Map<unknown, unknown>;
  readonly #drawing: Drawing;
  readonly #around: { level: Level; node: Fields } | undefined;
  readonly #depth: number;
  readonly #inner = new Map<string, Level>();
  readonly #named: Map<string, unknown>;

  constructor(definition: Fields, drawing: Drawing, around?: { level: Level; node: Fields }) {
    this.#drawing = drawing;
    this.#around = around;
    this.#depth = around === undefined ? 0 : around.level.#depth + 1;
    const nodes = listOf(definition.nodes).map(asFields);
    this.#nodes = nodes.filter(({ mode }) => textOf(mode) !== MUTED);
    const links = listOf(definition.links).map(linkOf);
    this.#links = new Map(links.map(({ id, origin, slot }) => [id, { origin, slot }]));
    const outputs = links.filter(({ target }) => target === OUTPUTS);
    this.#outputs = new Map(outputs.map(({ id, targetSlot }) => [targetSlot, id]));
    this.#inputNames = listOf(definition.inputs).map((input) => asFields(input).name);
    const inputs = around === undefined ? [] : inputsIn(around.node);
    this.#inputs = new Map(inputs.map(({ name, link }) => [name, link]));
    const setters = this.#nodes.filter(({ type }) => SET_NODE.test(String(type)));
    this.#named = new Map(setters.map((node) => [nameOf(node), inputsIn(node)[0]?.link]));
    drawing.partsLeft -= 1 + nodes.length + links.length + inputs.length + this.#inputNames.length;
  }

  /** Returns the uses of subgraphs. */
  inner(): Level[] {
    for (const node of this.#depth < MAX_DEPTH ? this.#nodes : []) {
      if (this.#drawing.partsLeft < 0) break;
      const definition = this.#drawing.definitions.get(textOf(node.type));
      if (definition === undefined || textOf(node.mode) === BYPASSED) continue;
      this.#inner.set(textOf(node.id), new Level(definition, this.#drawing, { level: this, node }));
    }
    return [...this.#inner.values()];
  }

  /** Returns the nodes that are no subgraphs, by id. Requires that `inner` was called for all levels. */
  entries(): [string, unknown][] {
    return this.#nodes
      .filter(({ id }) => !this.#inner.has(textOf(id)))
      .map((node) => [this.#idOf(textOf(node.id)), { class_type: node.type, inputs: this.#inputsOf(node) }]);
  }

  #idOf(id: string): string {
    return this.#around === undefined ? id : `${this.#around.level.#idOf(textOf(this.#around.node.id))}:${id}`;
  }

  #inputsOf(node: Fields): Fields {
    if (GET_NODE.test(String(node.type))) return { value: this.#sourceOf(this.#named.get(nameOf(node))) };
    const linked = inputsIn(node)
      .map((input) => ({ name: textOf(input.name), type: input.type, source: this.#sourceOf(input.link) }))
      .filter(({ source }) => source !== undefined);
    const inputs = Object.fromEntries(linked.map(({ name, source }) => [name, source]));
    if (/reroute/i.test(String(node.type))) return { value: linked[0]?.source };
    if (textOf(node.mode) !== BYPASSED) return { ...widgetsOf(node), ...inputs };
    // A bypassed node passes on the first input of the type of its output.
    const type = asFields(listOf(node.outputs)[0]).type;
    return { ...inputs, value: (linked.find((input) => input.type === type) ?? linked[0])?.source };
  }

  /** Returns the node that a link comes from, across the borders of subgraphs. */
  #sourceOf(link: unknown, depth = 0): Link | undefined {
    const { origin, slot } = this.#links.get(textOf(link)) ?? {};
    if (origin === undefined || slot === undefined || depth > MAX_DEPTH) return undefined;
    const inner = this.#inner.get(origin);
    if (inner !== undefined) return inner.#sourceOf(inner.#outputs.get(slot.text), depth + 1);
    if (origin !== INPUTS || this.#around === undefined) return [this.#idOf(origin), slot];
    const name = this.#inputNames[Number(slot.text)];
    return this.#around.level.#sourceOf(this.#inputs.get(name), depth + 1);
  }
}

interface DrawnLink {
  id: string;
  origin: string;
  slot: ExactNumber;
  target: string;
  targetSlot: string;
}

/** Those of subgraphs are objects. */
function linkOf(link: unknown): DrawnLink {
  const { id, origin_id, origin_slot, target_id, target_slot } = asFields(link);
  const [first, origin, slot, target, targetSlot] = Array.isArray(link)
    ? link
    : [id, origin_id, origin_slot, target_id, target_slot];
  return {
    ...{ id: textOf(first), origin: textOf(origin), target: textOf(target), targetSlot: textOf(targetSlot) },
    slot: slot instanceof ExactNumber ? slot : new ExactNumber('0'),
  };
}

function widgetsOf(node: Fields): Fields {
  if (!Array.isArray(node.widgets_values)) return asFields(node.widgets_values);
  const values = node.widgets_values.slice(0, MAX_INPUTS);
  const names = WIDGETS[String(node.type)] ?? widgetNames(node, values);
  if (names === undefined) return unnamed(values);
  return Object.fromEntries(names.map((name, at) => [name, values[at]]).filter(([name]) => name !== ''));
}

/** The first value mostly is what the node is about; rgthree has an object for each LoRA. */
function unnamed(values: unknown[]): Fields {
  const loras = values.filter((value) => 'lora' in asFields(value)).map((value, at) => [`lora_${at}`, value]);
  const [first] = values;
  return { [isModelFile(textOf(first)) ? 'model_name' : 'value']: first, ...Object.fromEntries(loras) };
}

/** Returns undefined where the inputs do not name all values. */
function widgetNames(node: Fields, values: unknown[]): string[] | undefined {
  const names = inputsIn(node)
    .filter(({ widget }) => widget !== undefined)
    .map(({ name }) => textOf(name));
  const controlled = values.flatMap((value, at) => (CONTROL.test(String(value)) ? [at] : []));
  for (const at of controlled) names.splice(at, 0, '');
  return names.length === values.length ? names : undefined;
}

function inputsIn(node: Fields): Fields[] {
  return listOf(node.inputs).slice(0, MAX_INPUTS).map(asFields);
}

function nameOf(node: Fields): string {
  return textOf(listOf(node.widgets_values)[0]);
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: unknown): string {
  return value instanceof ExactNumber ? value.text : (asText(value) ?? '');
}
