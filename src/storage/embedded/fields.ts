/** Parses the JSON in which generators describe an image; numbers stay as they were written. */

export type Fields = Record<string, unknown>;

/** A number as it was written: seeds have 64 bits, doubles only 53. */
export class ExactNumber {
  readonly text: string;

  /** Requires that `text` is a JSON number. */
  constructor(text: string) {
    this.text = text;
  }

  toJSON(): unknown {
    return JSON.rawJSON(this.text);
  }
}

/** Returns the fields of a JSON object or array; none for null. Throws a SyntaxError for text that is not JSON. */
export function parseFields(json: string): Fields {
  const exact = (_key: string, value: unknown, { source }: { source?: string }) =>
    typeof value === 'number' ? new ExactNumber(source!) : value;
  return (JSON.parse(json, exact) ?? {}) as Fields;
}

export function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
