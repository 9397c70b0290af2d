/** The tool `save_image`: saves a file of the folder that assistants were given. */
import { z } from 'zod';
import type { ImageStorageClient } from '../../client.ts';
import { openAllowed } from '../allowed-file.ts';
import { ToolError } from '../errors.ts';
import { detailsOf, detailsSchema } from '../image.ts';
import { resourceLink } from '../resource.ts';
import { type AddTool, SAVES } from '../tool.ts';

const parametersSchema = z
  .union([z.record(z.string(), z.unknown()), z.string()])
  .optional()
  .describe('The generation parameters: an object, or its JSON text, which keeps integers beyond 2^53 exact');

/** Adds the tool; `folder` is a real path. */
export function addSaveImage(addTool: AddTool, client: ImageStorageClient, folder: string): void {
  addTool({
    name: 'save_image',
    title: 'Save an image',
    description:
      `Stores an image file (PNG, JPEG, WebP, GIF or AVIF) that lies in ${folder}. Prompt, model and parameters that ` +
      'are not given are read from what the generator left in the file. Called twice, it stores two images.',
    annotations: SAVES,
    input: z.strictObject({
      path: z.string().describe('The file, absolute or relative to that folder'),
      prompt: z.string().optional(),
      model: z.string().optional(),
      category: z.string().optional(),
      tags: z.array(z.string()).optional(),
      parameters: parametersSchema,
      provider: z.string().optional(),
    }),
    output: z.object({
      image: detailsSchema,
      deleted: z.boolean().optional().describe('Since then'),
    }),
    async run({ path, provider, parameters, ...metadata }, signal) {
      const parametersJson = textOf(parameters);
      await using file = await openAllowed(folder, path);
      const source = file.createReadStream({ autoClose: false });
      const image = await client.save(source, { ...metadata, parametersJson }, { provider, signal });
      const { deleted } = image;
      return { value: { image: detailsOf(image), ...(deleted && { deleted }) }, content: [resourceLink(image)] };
    },
  });
}

function textOf(parameters: z.output<typeof parametersSchema>): string | undefined {
  if (typeof parameters !== 'object') return parameters;
  return JSON.stringify(parameters, (key, value) => {
    if (!Number.isInteger(value) || Number.isSafeInteger(value)) return value;
    throw new ToolError(
      `The parameter "${key}" is an integer beyond 2^53: pass parameters as JSON text to keep it exact.`,
    );
  });
}
