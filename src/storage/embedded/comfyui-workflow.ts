/** Turns the graph that ComfyUI's editor draws into the one that it runs, as far as the names of values are known. */
import { isModelFile } from './comfyui-model.ts';
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
  EmptyLatentImage: ['width', 'height', 'batch_size'],
  EmptySD3LatentImage: ['width', 'height', 'batch_size'],
};
const CONTROL = /^(fixed|increment|decrement|randomize)$/;
const MUTED = '2';
const BYPASSED = '4';
/** What only names a link, for readers of the drawing. */
const SET_NODE = /^(SetNode|easy setNode)$/;
const GET_NODE = /^(GetNode|easy getNode)$/;

type Links = Map<string, [node: string, output: ExactNumber]>;

/** Returns nodes by id, none for fields that are no such graph. */
export function graphOfWorkflow(fields: Fields): Fields {
  const nodes = listOf(fields.nodes).map(asFields);
  const links = linksIn(listOf(fields.links));
  const named = new Map(
    nodes.filter(({ type }) => SET_NODE.test(String(type))).map((node) => [nameOf(node), firstLink(node, links)]),
  );
  const entries = nodes
    .filter(({ mode }) => textOf(mode) !== MUTED)
    .map((node): [string, unknown] => {
      const inputs = GET_NODE.test(String(node.type)) ? { value: named.get(nameOf(node)) } : inputsOf(node, links);
      return [textOf(node.id), { class_type: node.type, inputs }];
    });
  return Object.fromEntries(entries);
}

function linksIn(links: unknown[]): Links {
  return new Map(
    links.map((link) => {
      // Newer ones are objects.
      const { id, origin_id, origin_slot } = Array.isArray(link)
        ? { id: link[0], origin_id: link[1], origin_slot: link[2] }
        : asFields(link);
      return [textOf(id), [textOf(origin_id), origin_slot instanceof ExactNumber ? origin_slot : new ExactNumber('0')]];
    }),
  );
}

function inputsOf(node: Fields, links: Links): Fields {
  const linked = listOf(node.inputs)
    .map(asFields)
    .map(({ name, link }) => [textOf(name), links.get(textOf(link))]);
  const inputs = Object.fromEntries(linked.filter(([, link]) => link !== undefined));
  if (textOf(node.mode) === BYPASSED) return { ...inputs, value: passedOn(node, links) };
  if (/reroute/i.test(String(node.type))) return { value: firstLink(node, links) };
  return { ...widgetsOf(node), ...inputs };
}

/** Returns the link to the input that a bypassed node passes on: the first of the type of its output. */
function passedOn(node: Fields, links: Links): unknown {
  const type = asFields(listOf(node.outputs)[0]).type;
  const inputs = listOf(node.inputs).map(asFields);
  const same = inputs.find((input) => input.type === type && links.has(textOf(input.link)));
  return same === undefined ? firstLink(node, links) : links.get(textOf(same.link));
}

function firstLink(node: Fields, links: Links): unknown {
  const inputs = listOf(node.inputs).map(asFields);
  return inputs.map(({ link }) => links.get(textOf(link))).find((link) => link !== undefined);
}

function widgetsOf(node: Fields): Fields {
  const values = node.widgets_values;
  if (!Array.isArray(values)) return asFields(values);
  const names = WIDGETS[String(node.type)] ?? widgetNames(node, values);
  if (names === undefined) return unnamed(values);
  return Object.fromEntries(names.map((name, at) => [name, values[at]]).filter(([name]) => name !== ''));
}

/** The first value mostly is what the node is about; rgthree has an object for each LoRA. */
function unnamed(values: unknown[]): Fields {
  const loras = values.filter((value) => 'lora' in asFields(value)).map((value, at) => [`lora_${at}`, value]);
  const [first] = values;
  return { [isModelFile(first) ? 'model_name' : 'value']: first, ...Object.fromEntries(loras) };
}

/** Returns undefined where the inputs do not name all values. */
function widgetNames(node: Fields, values: unknown[]): string[] | undefined {
  const names = listOf(node.inputs)
    .map(asFields)
    .filter(({ widget }) => widget !== undefined)
    .map(({ name }) => textOf(name));
  const controlled = values.flatMap((value, at) => (CONTROL.test(String(value)) ? [at] : []));
  for (const at of controlled) names.splice(at, 0, '');
  return names.length === values.length ? names : undefined;
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
