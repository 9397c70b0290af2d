/** The fields of the JSON in which generators describe an image; numbers stay as they were written. */

export type Fields = Record<string, unknown>;

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?$/;

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

/** Returns a setting that is written as text: a number where it is one. */
export function settingOf(text: string): string | ExactNumber {
  return NUMBER.test(text) ? new ExactNumber(text) : text;
}
