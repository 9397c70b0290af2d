/** The metadata that the readers of generators' dialects find in an image. */

export interface GeneratorMetadata {
  prompt?: string;
  model?: string;
  /** Numbers are ExactNumbers. */
  settings: Record<string, unknown>;
  /** The generator's own description of what it did, as JSON text. */
  graph?: string;
}

const MODEL_FILE = /\.(safetensors|sft|ckpt|pth?|bin|gguf|onnx)$/i;

/** Returns the name of a model without folders and extension. */
export function modelOfFile(path: string): string {
  return path.replace(/^.*[/\\]/s, '').replace(MODEL_FILE, '');
}
