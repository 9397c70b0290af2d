/** Finds the model of a sampler, and the LoRAs on the way to it. */
import { modelOfFile } from '../domain/model-file.ts';
import { type Graph, type Node, visits } from './comfyui-graph.ts';
import { asFields, ExactNumber, type Fields } from './fields.ts';

/** Carriers of a model among other things come last, since what is linked beside them takes precedence. */
const MODEL_LINKS = [
  /^(model|model\d|model_high_noise|base_model|unet)$/,
  /^(guider|pipe|basic_pipe|base_ctx|context|value)$/,
];
const MODEL_NAMES = ['ckpt_name', 'unet_name', 'base_ckpt_name'];
/** Other models have these names, too. */
const VAGUE_NAMES = ['model_name', 'gguf_name', 'diffusion_model', 'model_path', 'checkpoint', 'model'];
const OTHER_MODELS = /upscale|depth|segment|sam|dino|clip|vae|control|detect|face|rembg|motion|adapter/i;
const LORA_NAME = /^lora(?:_name)?_?(\d+)?(?:_name)?$/;
const LORA_LINKS = ['lora_stack', 'optional_lora_stack', 'lora', 'prev_lora'];
const MODEL_FILE = /\.(safetensors|sft|ckpt|pth?|bin|gguf|onnx)$/i;

export interface ModelAndLoras {
  model?: string;
  loras: string[];
}

export function modelOf(graph: Graph, sampler: Node): ModelAndLoras {
  const loras = new Set<string>();
  const model = modelFrom(graph, sampler, new Set(), loras);
  return { model, loras: [...loras].reverse() };
}

export function anyModel(graph: Graph): string | undefined {
  const loaders = graph.nodes.filter(({ class_type }) => !OTHER_MODELS.test(class_type));
  const clear = loaders.map((node) => nameIn(node, MODEL_NAMES));
  return [...clear, ...loaders.map(vagueName)].find((name) => name !== undefined);
}

/** Returns the name of the file that a node's model was loaded from, through any chain of links. */
function modelFrom(graph: Graph, node: Node | undefined, seen: Set<Node>, loras: Set<string>): string | undefined {
  if (node === undefined || !visits(seen, node)) return undefined;
  addLoras(graph, node, loras);
  const own = nameIn(node, MODEL_NAMES);
  if (own !== undefined) return own;
  for (const links of MODEL_LINKS) {
    for (const [name, value] of Object.entries(node.inputs)) {
      const model = links.test(name) ? modelFrom(graph, graph.follow(value), seen, loras) : undefined;
      if (model !== undefined) return model;
    }
  }
  // What passes a model on adds another to it.
  return nameIn(node, VAGUE_NAMES.slice(0, -1)) ?? vagueName(node);
}

function nameIn({ inputs }: Node, names: readonly string[]): string | undefined {
  const file = names.map((name) => inputs[name]).find((value) => typeof value === 'string');
  return file && modelOfFile(file);
}

/** Returns the name of a file of a model. */
function vagueName({ inputs }: Node): string | undefined {
  const file = VAGUE_NAMES.map((name) => inputs[name]).find(isModelFile);
  return file && modelOfFile(file);
}

export function isModelFile(value: unknown): value is string {
  return typeof value === 'string' && MODEL_FILE.test(value);
}

/** Adds the LoRAs of a node, and of the stacks that it is linked to. */
function addLoras(graph: Graph, start: Node, loras: Set<string>): void {
  const seen = new Set<Node>();
  for (let node: Node | undefined = start; node !== undefined && visits(seen, node); ) {
    const { inputs }: Node = node;
    for (const name of lorasIn(inputs).reverse()) loras.add(name);
    node = LORA_LINKS.map((name) => graph.follow(inputs[name])).find((source) => source !== undefined);
  }
}

function lorasIn(inputs: Fields): string[] {
  const count = inputs.lora_count instanceof ExactNumber ? Number(inputs.lora_count.text) : Number.POSITIVE_INFINITY;
  const files = Object.entries(inputs).map(([name, value]) => {
    const [match, number = '0'] = LORA_NAME.exec(name) ?? [];
    if (match === undefined || Number(number) > count || inputs[`switch_${number}`] === 'Off') return undefined;
    // rgthree has an object for each.
    const { on, lora } = asFields(value);
    return on === false ? undefined : (lora ?? value);
  });
  return files
    .filter((file) => typeof file === 'string' && !/^(none)?$/i.test(file))
    .map((file) => modelOfFile(file as string));
}
