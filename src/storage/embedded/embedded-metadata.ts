/** The metadata that a generator embedded in its image. */

export interface EmbeddedMetadata {
  prompt?: string;
  /** Without folders and extension. */
  model?: string;
  /**
   * One JSON object: the generator's settings, numbers as they were written, and ComfyUI's graph as `comfyui` or
   * `workflow`.
   */
  parametersJson?: string;
  /** When the image was generated; UTC when no zone is given. */
  timestamp?: Date;
}
