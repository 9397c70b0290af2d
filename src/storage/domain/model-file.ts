/** Names of models and LoRAs, which generators give as files. */

const EXTENSION = /\.(safetensors|sft|ckpt|pth?|bin|gguf|onnx)$/i;

/** Returns the name of a model without folders and extension. */
export function modelOfFile(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1).replace(EXTENSION, '');
}
