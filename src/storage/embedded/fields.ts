/** The fields of the JSON in which generators describe an image; numbers stay as they were written. */

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

/** Returns an object or array as fields; none for any other value. */
export function asFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !(value instanceof ExactNumber) ? (value as Fields) : {};
}

export function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
