/** Finds prompt, model and settings in the graph of nodes that ComfyUI embeds in its images. */
import { Graph, isLink, type Node, PLAIN_VALUES, visits } from './comfyui-graph.ts';
import { anyModel, modelOf } from './comfyui-model.ts';
import { anyPrompt, CONDITIONING, negativeOf, promptOf } from './comfyui-text.ts';
import { graphOfWorkflow } from './comfyui-workflow.ts';
import { ExactNumber, type Fields } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

/** Inputs that hold the settings of a sampler composed of several nodes. */
const SAMPLER_PARTS = ['noise', 'sampler', 'sigmas', 'guider', 'pipe', 'base_ctx', 'context'];
const SETTINGS: Record<string, string[]> = {
  seed: ['seed', 'noise_seed', 'seed_num'],
  steps: ['steps', 'steps_total'],
  cfg: ['cfg'],
  sampler_name: ['sampler_name'],
  scheduler: ['scheduler'],
};
const LATENTS = ['latent_image', 'samples', 'latent', 'optional_latent', 'latents'];
/** Width and height of the latent image, by the names that nodes have for them. */
const SIZES = [
  ['width', 'height'],
  ['empty_latent_width', 'empty_latent_height'],
] as const;

/** Returns undefined when the fields are not a graph. `json` is its text. */
export function readComfyUI(fields: Fields, json: string): GeneratorMetadata | undefined {
  const graph = new Graph(fields);
  return graph.nodes.length === 0 ? undefined : { ...describe(graph), graph: { name: 'comfyui', json } };
}

/** Reads the graph as it was drawn, where no other is left. Returns undefined when the fields are none. */
export function readComfyUIWorkflow(fields: Fields, json: string): GeneratorMetadata | undefined {
  const graph = new Graph(graphOfWorkflow(fields));
  return graph.nodes.length === 0 ? undefined : { ...describe(graph), graph: { name: 'workflow', json } };
}

/** Returns what the graph says of the image that it saves. */
export function describe(graph: Graph): GeneratorMetadata {
  const sampler = firstSampler(graph);
  if (sampler === undefined) return { prompt: anyPrompt(graph), model: anyModel(graph), settings: {} };
  const { model, loras } = modelOf(graph, sampler);
  const settings = {
    ...settingsOf(graph, sampler),
    guidance: guidanceOf(graph, sampler),
    negative_prompt: negativeOf(graph, sampler),
    loras: loras.length === 0 ? undefined : loras,
    ...sizeOf(graph, sampler),
  };
  return {
    prompt: promptOf(graph, sampler) ?? anyPrompt(graph),
    model: model ?? anyModel(graph),
    settings: Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)),
  };
}

/** Returns the first of the samplers that produced the saved image: later ones refine or enlarge it. */
function firstSampler(graph: Graph): Node | undefined {
  let sampler = lastSampler(graph);
  const seen = new Set<Node>();
  while (sampler !== undefined && !seen.has(sampler)) {
    seen.add(sampler);
    const before: Node | undefined = graph.nearest(latentsOf(graph, sampler), isSampler);
    sampler = before ?? sampler;
  }
  return sampler;
}

/** What is saved counts first, then what is sent elsewhere, then what is only looked at. */
function lastSampler(graph: Graph): Node | undefined {
  const { nodes } = graph;
  const saving = nodes.filter(({ class_type }) => /save/i.test(class_type));
  return (
    graph.nearest(saving, isSampler) ??
    graph.nearest(
      nodes.length === saving.length ? [] : graph.ends().filter(({ class_type }) => !/preview/i.test(class_type)),
      isSampler,
    ) ??
    nodes.find(isSampler) ??
    graph.nearest(saving, isLikeSampler)
  );
}

function latentsOf(graph: Graph, { inputs }: Node): (Node | undefined)[] {
  return LATENTS.map((name) => graph.follow(inputs[name]));
}

/** Upscalers that sample have other names. */
function isLikeSampler({ inputs }: Node): boolean {
  return isLink(inputs.positive) && inputs.steps !== undefined && inputs.seed !== undefined;
}

function isSampler({ class_type, inputs }: Node): boolean {
  return (
    CONDITIONING.some((name) => isLink(inputs[name])) && (/sampler/i.test(class_type) || isLink(inputs.latent_image))
  );
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

/** Returns the guidance that Flux takes with its conditioning. */
function guidanceOf(graph: Graph, { inputs }: Node): unknown {
  const valueIn = (node: Node) => graph.valueOf(node.inputs.guidance);
  const sources = [inputs.positive, inputs.guider, inputs.conditioning].map((value) => graph.follow(value));
  const node = graph.nearest(sources, ({ inputs: { guidance } }) => guidance !== undefined);
  const value = node && valueIn(node);
  return value instanceof ExactNumber ? value : undefined;
}

/** Returns the size of the latent image that the sampler began with. */
function sizeOf(graph: Graph, sampler: Node): Record<string, unknown> {
  const sizeIn = (node: Node) =>
    SIZES.map((names) => names.map((name) => graph.valueOf(node.inputs[name]))).find((size) =>
      size.every((side) => side instanceof ExactNumber),
    );
  const node = graph.nearest(latentsOf(graph, sampler), (candidate) => sizeIn(candidate) !== undefined);
  const [width, height] = (node && sizeIn(node)) ?? [];
  return { width, height };
}
