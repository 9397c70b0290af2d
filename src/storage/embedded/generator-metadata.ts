/** The metadata that the readers of generators' dialects find in an image. */

export interface GeneratorMetadata {
  prompt?: string;
  model?: string;
  /** Numbers are ExactNumbers. */
  settings: Record<string, unknown>;
  /** The generator's own description of what it did, as JSON text, and its name among the parameters. */
  graph?: { name: 'comfyui' | 'workflow'; json: string };
}
