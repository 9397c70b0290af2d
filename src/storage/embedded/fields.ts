/** Reads the JSON in which generators describe an image; numbers stay as they were written. */

export type Fields = Record<string, unknown>;

/** A number as it was written: seeds have 64 bits, a double holds 53. */
export class ExactNumber {
  readonly text: string;

  /** `text` is a number of JSON. */
  constructor(text: string) {
    this.text = text;
  }

  toJSON(): unknown {
    return JSON.rawJSON(this.text);
  }
}

/** Of an object or an array; empty for null. Throws a SyntaxError for what is no JSON. */
export function parseFields(json: string): Fields {
  const exact = (_key: string, value: unknown, { source }: { source?: string }) =>
    typeof value === 'number' ? new ExactNumber(source!) : value;
  return (JSON.parse(json, exact) ?? {}) as Fields;
}

export function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
