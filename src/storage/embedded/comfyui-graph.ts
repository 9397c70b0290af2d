/** The graph of nodes that ComfyUI ran: inputs hold values, and links to the nodes that compute them. */
import { asFields, ExactNumber, type Fields } from './fields.ts';

export interface Node {
  class_type: string;
  inputs: Fields;
}
type Link = [node: string, output: ExactNumber];

/** The most inputs that are looked at; those of a graph of a thousand nodes are some 10,000, looked at a few times. */
const MAX_STEPS = 200_000;
/** The most nodes between a sampler and what it is described by. */
const MAX_CHAIN = 300;
const MAX_TYPE_CHARS = 256;

/** Names of the value in nodes that hold only a value. */
export const PLAIN_VALUES = ['value', 'int', 'float', 'number', 'string', 'Value'];

const SWITCH = /switch|select|index|choice|branch|pick/i;
const SELECTORS = [
  'select',
  'index',
  'Input',
  'input',
  'selected',
  'selector',
  'input_index',
  'select_index',
  'active',
];
const CONDITIONS = ['switch', 'boolean', 'boolean_value', 'cond', 'condition', 'use_first'];
/** What a switch passes on where its condition holds, and where not. */
const ALTERNATIVES = [
  ...[['on_true', 'on_false'] as const, ['if_true', 'if_false'] as const, ['tt_value', 'ff_value'] as const],
  ...[['true_value', 'false_value'] as const, ['input_true', 'input_false'] as const, ['true', 'false'] as const],
  ...[['text_a', 'text_b'] as const, ['a', 'b'] as const],
];
/** Passes on the first of its inputs that is linked: rgthree's `any_01`, `ctx_01`. */
const FIRST_LINKED = /^(any|context) switch/i;

/** A graph whose links lead nowhere once too many inputs were looked at; switches pass on what they chose. */
export class Graph {
  readonly #nodes: Map<string, Node>;
  /** How many inputs were looked at. */
  steps = 0;

  constructor(fields: Fields) {
    this.#nodes = new Map(Object.entries(fields).filter((entry): entry is [string, Node] => isNode(entry[1])));
    for (const [id, node] of this.#nodes) {
      const chosen = this.#choiceOf(node);
      if (chosen !== undefined) this.#nodes.set(id, { class_type: node.class_type, inputs: { value: chosen } });
    }
  }

  get nodes(): Node[] {
    return [...this.#nodes.values()];
  }

  get #isExhausted(): boolean {
    return this.steps > MAX_STEPS;
  }

  follow(value: unknown): Node | undefined {
    this.steps += 1;
    return !this.#isExhausted && isLink(value) ? this.#nodes.get(value[0]) : undefined;
  }

  /** Returns the nearest node that fits, among these nodes and their sources. */
  nearest(nodes: Iterable<Node | undefined>, fits: (node: Node) => boolean): Node | undefined {
    const found = new Set([...nodes].filter((node) => node !== undefined));
    // A set that grows while it is iterated is a queue without duplicates.
    for (const node of found) {
      if (fits(node)) return node;
      if (this.#isExhausted) return undefined;
      for (const value of Object.values(node.inputs)) {
        const source = this.follow(value);
        if (source !== undefined) found.add(source);
      }
    }
    return undefined;
  }

  /** Returns the nodes whose outputs no node takes. */
  ends(): Node[] {
    const taken = new Set<Node | undefined>();
    for (const { inputs } of this.#nodes.values()) {
      for (const value of Object.values(inputs)) taken.add(this.follow(value));
      if (this.#isExhausted) return [];
    }
    return this.nodes.filter((node) => !taken.has(node));
  }

  /** Returns the value of an input, of the node that it is linked to where that holds only one. */
  valueOf(input: unknown): unknown {
    const source = this.follow(input);
    return source === undefined
      ? input
      : PLAIN_VALUES.map((name) => source.inputs[name]).find((value) => value !== undefined);
  }

  /** Returns the input that a switch passes on; undefined for another node. */
  #choiceOf({ class_type, inputs }: Node): unknown {
    if (FIRST_LINKED.test(class_type)) return Object.values(inputs).find(isLink);
    if (!SWITCH.test(class_type)) return undefined;
    const condition = this.#firstOf(inputs, CONDITIONS, (value) => typeof value === 'boolean');
    const pair = ALTERNATIVES.find((names) => names.some((name) => name in inputs));
    if (condition !== undefined && pair !== undefined) return inputs[pair[condition === true ? 0 : 1]];
    const selected = this.#firstOf(inputs, SELECTORS, (value) => value instanceof ExactNumber);
    if (!(selected instanceof ExactNumber)) return undefined;
    const name = Object.keys(inputs).find((key) => numberBehind(key) === selected.text);
    return name === undefined ? undefined : inputs[name];
  }

  #firstOf(inputs: Fields, names: readonly string[], fits: (value: unknown) => boolean): unknown {
    return names.map((name) => (name in inputs ? this.valueOf(inputs[name]) : undefined)).find(fits);
  }
}

/** `1` of `input_01`. */
function numberBehind(name: string): string | undefined {
  return /^\D*(\d+)$/.exec(name)?.[1]?.replace(/^0+(?=\d)/, '');
}

/** Notes a visit. Returns false for a node that was visited before, and for one too far away. */
export function visits(seen: Set<Node>, node: Node): boolean {
  if (seen.has(node) || seen.size >= MAX_CHAIN) return false;
  seen.add(node);
  return true;
}

export function isLink(value: unknown): value is Link {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && value[1] instanceof ExactNumber;
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
