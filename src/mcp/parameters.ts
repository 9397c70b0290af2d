/** Chooses which generation parameters an assistant is shown: not the graph, and no setting a second time. */
import type { Image } from '../client.ts';

/** Longer values are graphs, embedded pictures and the like. */
const MAX_VALUE_CHARS = 1_000;
const MAX_CHARS = 8_000;
/** Names of what `generation` has, in any generator's spelling. */
const SETTING = /^(neg|uc$|.*seed$|.*steps$|cfg|.*guidance|scale$|sampl|schedul|width$|height$)/;

interface Shown {
  parameters?: object;
  /** The names of those that are too long. */
  leftOut?: string[];
}

export function shownParameters({ metadata: { parametersJson }, generation = {} }: Image): Shown {
  const known = new Set(Object.values(generation).map(String));
  const parameters: Record<string, unknown> = {};
  const leftOut: string[] = [];
  let left = MAX_CHARS;
  for (const [name, value] of Object.entries(parse(parametersJson))) {
    const text = JSON.stringify(value);
    if (SETTING.test(plain(name)) && known.has(typeof value === 'string' ? value : text)) continue;
    left -= text.length > MAX_VALUE_CHARS ? 0 : text.length;
    if (text.length > MAX_VALUE_CHARS || left < 0) leftOut.push(name);
    else parameters[name] = value;
  }
  return { parameters, leftOut };
}

/** Integers beyond 2^53 stay as they were written. */
function parse(json: string): object {
  try {
    const isExact = (value: unknown) => typeof value !== 'number' || Number.isSafeInteger(value);
    const value = JSON.parse(json || '{}', (_key, value, { source }) =>
      isExact(value) || source === undefined ? value : JSON.rawJSON(source),
    );
    return value as object;
  } catch {
    // An older daemon took what is nested too deep for this.
    return {};
  }
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}
