/** Describes images for tools: short in lists, whole by themselves. */
import { z } from 'zod';
import { rowPrompt } from '../client/row-prompt.ts';
import type { Image } from '../client.ts';

/** ComfyUI workflows have up to 1 MiB. */
const MAX_PARAMETERS = 16_384;

export const natural = z.int().min(0);

export const summarySchema = z.object({
  filename: z.string(),
  provider: z.string(),
  url: z.string().describe('Where the bytes are; a path where no public URL is configured'),
  size: natural.describe('Bytes'),
  content_type: z.string(),
  width: natural.describe('Pixels'),
  height: natural.describe('Pixels'),
  timestamp: z.string().describe('When it was generated, RFC 3339 in UTC'),
  model: z.string(),
  prompt: z.string(),
  category: z.string(),
  tags: z.array(z.string()),
  pinned: z.boolean().describe('Spared by cleanup_images'),
});

export const detailsSchema = summarySchema.extend({
  path: z.string().describe('The file where the daemon runs; empty for object stores'),
  sha256: z.string(),
  create_time: z.string().describe('When it was stored, RFC 3339 in UTC'),
  expire_time: z.string().optional().describe('When it goes as by a cleanup, unless it is pinned'),
  generation: z
    .object({
      negative_prompt: z.string().optional(),
      seed: z.string().optional(),
      steps: natural.optional(),
      cfg: z.number().optional(),
      sampler: z.string().optional(),
      scheduler: z.string().optional(),
      loras: z.array(z.string()).optional(),
      width: natural.optional(),
      height: natural.optional(),
    })
    .optional()
    .describe('The settings, read from the parameters of any generator'),
  parameters_json: z.string().optional().describe('The generation parameters; left out when longer than 16 KiB'),
});

export function summaryOf(image: Image): object {
  return { ...image, ...image.metadata, prompt: rowPrompt(image.metadata.prompt) };
}

export function detailsOf(image: Image): object {
  const { parametersJson } = image.metadata;
  const affordable = parametersJson.length <= MAX_PARAMETERS ? parametersJson : undefined;
  return { ...image, ...image.metadata, parametersJson: affordable };
}
