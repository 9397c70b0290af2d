/** What the readers of generators' metadata find in an image. */

export interface Traces {
  prompt?: string;
  model?: string;
  /** Numbers are ExactNumbers. */
  settings: Record<string, unknown>;
  /** The generator's own description of what it did, as JSON text. */
  graph?: string;
}

const MODEL_FILE = /\.(safetensors|sft|ckpt|pth?|bin|gguf|onnx)$/i;

/** The name of a model without folders and extension. */
export function modelOfFile(path: string): string {
  return path.replace(/^.*[/\\]/s, '').replace(MODEL_FILE, '');
}

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
