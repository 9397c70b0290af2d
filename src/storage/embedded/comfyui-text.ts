/** Finds the texts that the conditioning of a sampler comes from. */
import { type Graph, isLink, type Node, visits } from './comfyui-graph.ts';

/** Inputs that conditioning comes from, the most reliable first. */
export const CONDITIONING = [
  ...['positive', 'guider', 'conditioning', 'conditioning_1', 'conditioning_to', 'cond1', 'text_embeds'],
  ...['basic_pipe', 'pipe', 'base_ctx', 'context', 'value'],
];
const NEGATIVES = [
  'negative',
  'text_negative',
  'negative_prompt',
  'neg_conditioning',
  'negative_conditioning',
  'uncond',
];
/** Inputs that carry both prompts of a sampler. */
const CARRIERS = ['guider', 'basic_pipe', 'pipe', 'base_ctx', 'context', 'positive', 'value'];
/** Inputs that hold the text of a text node; the first that is not empty counts. */
const TEXTS = [
  ...['text', 'prompt', 't5xxl', 'text_g', 'text_l', 'clip_g', 'clip_l', 'positive_prompt', 'text_positive'],
  ...['positive', 'populated_text', 'wildcard_text', 'string', 'value'],
];
/** Parts that are joined; `text_g` and `text_l` are one text for two encoders. */
const TEXT_PART = /^(string|text)_[a-fh-km-z]$/;
const NUMBERED_PART = /^(string|text)_?\d$/;
const JOINS = /concat|join|combine|merge/i;
/** Inputs that lead to no text, or to the wrong one. */
const NO_CONDITIONING =
  /^(model|clip|clip_vision|clip_vision_output|vae|control_net|style_model|images?|pixels|mask|latent|latent_image|samples|noise|sampler|sigmas|seed)$/;

const MAX_DELIMITER_CHARS = 1024;
/** Longer texts are no prompts that a save accepts. */
const MAX_PROMPT_CHARS = 64 * 1024 + 1;

/** Which of the two texts of a sampler is looked for, where a node passes on both. */
type Side = 'positive' | 'negative';

export function promptOf(graph: Graph, sampler: Node): string | undefined {
  return new TextSearch(graph, 'positive', sampler).through(sampler, CONDITIONING);
}

/** Returns undefined when the sampler has none, or one without words. */
export function negativeOf(graph: Graph, sampler: Node): string | undefined {
  const search = new TextSearch(graph, 'negative', sampler);
  const seen = new Set<Node>();
  const carriers = [sampler];
  for (const carrier of carriers) {
    if (!visits(seen, carrier)) continue;
    const text = search.through(carrier, NEGATIVES);
    if (text !== undefined) return text.trim() ? text : undefined;
    const sources = CARRIERS.map((name) => graph.follow(carrier.inputs[name]));
    carriers.push(...sources.filter((source) => source !== undefined));
  }
  return undefined;
}

/** Returns the text of the first encoder that has one, negative ones aside. */
export function anyPrompt(graph: Graph): string | undefined {
  const { nodes } = graph;
  const negatives = new Set(nodes.map(({ inputs }) => graph.follow(inputs.negative)));
  const encoders = nodes.filter((node) => /text.*encode/i.test(node.class_type) && !negatives.has(node));
  const search = new TextSearch(graph, 'positive');
  return encoders.map((node) => search.textOf(node)).find((text) => text?.trim());
}

class TextSearch {
  readonly #graph: Graph;
  readonly #side: Side;
  readonly #seen = new Set<Node>();

  constructor(graph: Graph, side: Side, start?: Node) {
    this.#graph = graph;
    this.#side = side;
    if (start !== undefined) this.#seen.add(start);
  }

  /** Returns the text that the first of these inputs leads to. */
  through({ inputs }: Node, names: readonly string[]): string | undefined {
    for (const name of names) {
      const value = inputs[name];
      const text =
        typeof value === 'string' && NEGATIVES.includes(name) ? value : this.textOf(this.#graph.follow(value));
      if (text !== undefined) return text;
    }
    return undefined;
  }

  /** Returns the text of a node or of its sources; empty when its inputs for text are empty. */
  textOf(node: Node | undefined): string | undefined {
    if (node === undefined || !visits(this.#seen, node) || /zero ?out/i.test(node.class_type)) return undefined;
    const { inputs, class_type } = node;
    // What a node showed is what its sources made.
    if (typeof inputs.text_0 === 'string') return inputs.text_0.slice(0, MAX_PROMPT_CHARS);
    const read = (name: string) => this.#read(inputs[name]);
    const names = Object.keys(inputs);
    const parts = names.filter((name) => TEXT_PART.test(name) || (JOINS.test(class_type) && NUMBERED_PART.test(name)));
    if (parts.length > 1) return joined(parts.map(read), inputs.delimiter ?? inputs.separator);
    const texts = this.#namesIn(names, inputs)
      .map(read)
      .filter((text) => text !== undefined);
    return texts.find((text) => text.trim() !== '') ?? texts[0];
  }

  #read(value: unknown): string | undefined {
    return typeof value === 'string' ? value.slice(0, MAX_PROMPT_CHARS) : this.textOf(this.#graph.follow(value));
  }

  #namesIn(names: readonly string[], inputs: Node['inputs']): string[] {
    const isNegative = this.#side === 'negative';
    const own = isNegative ? NEGATIVES.filter((name) => name in inputs) : [];
    if (own.length > 0) return own;
    const wrong = isNegative ? /positive/ : /negative|^uncond$/;
    const others = names.filter((name) => isLink(inputs[name]) && !NO_CONDITIONING.test(name));
    return [...TEXTS, ...CONDITIONING, ...others].filter((name) => name in inputs && !wrong.test(name));
  }
}

function joined(parts: (string | undefined)[], delimiter: unknown): string {
  const text = parts
    .filter(Boolean)
    .join(typeof delimiter === 'string' ? delimiter.slice(0, MAX_DELIMITER_CHARS) : ' ');
  return text.slice(0, MAX_PROMPT_CHARS);
}
