/** The tool `save_image`: saves a file of the folder that assistants were given. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { z } from 'zod';
import { exists } from '../../client/exists.ts';
import { pageLink } from '../../client/page-link.ts';
import type { ImageMetadata, ImageStorageClient, SavedImage } from '../../client.ts';
import { openAllowed } from '../allowed-file.ts';
import { ToolError } from '../errors.ts';
import { detailsOf } from '../image.ts';
import { type AddTool, SAVES } from '../tool.ts';

const parametersSchema = z
  .union([z.record(z.string(), z.unknown()), z.string()])
  .optional()
  .describe('The generation parameters: an object, or its JSON text, which keeps integers beyond 2^53 exact');

/** Adds the tool; `folder` is a real path. */
export function addSaveImage(addTool: AddTool, client: ImageStorageClient, folder: string, address: string): void {
  addTool({
    name: 'save_image',
    title: 'Save an image',
    description:
      `Stores an image file (PNG, JPEG, WebP, GIF or AVIF) that lies in ${folder}, with its date. Prompt, model and ` +
      'parameters that are not given are read from what the generator left in the file. The same file with the same ' +
      'arguments is stored once.',
    annotations: SAVES,
    input: z.strictObject({
      path: z.string().describe('The file, absolute or relative to that folder'),
      prompt: z.string().optional(),
      model: z.string().optional(),
      category: z.string().optional(),
      tags: z.array(z.string()).optional(),
      parameters: parametersSchema,
      again: z.boolean().optional().describe('Stores it also where it was stored and deleted before'),
      provider: z.string().optional(),
    }),
    async run({ path, provider, parameters, again, ...given }, signal) {
      const parametersJson = textOf(parameters);
      await using file = await openAllowed(folder, path);
      const timestamp = new Date(Math.max(0, Math.floor((await file.stat()).mtimeMs)));
      const metadata = { ...given, parametersJson, timestamp };
      const sha256 = await sha256Of(file);
      const idempotencyKey = again ? undefined : keyOf(sha256, metadata);
      const image = await client.save(chunksOf(file), metadata, { provider, idempotencyKey, signal });
      if (image.replayed) return { value: await answerOfReplay(client, image, { provider, address, signal }) };
      if (image.sha256 !== sha256) await refuseChanged(client, image, signal);
      return { value: { image: detailsOf(image, pageLink(image, address, provider)) } };
    },
  });
}

interface Place {
  provider: string | undefined;
  address: string;
  signal: AbortSignal;
}

async function answerOfReplay(client: ImageStorageClient, image: SavedImage, place: Place): Promise<object> {
  // An older daemon does not say that it was deleted.
  if (!image.deleted && (await exists(client, image.filename, place))) {
    return { alreadyStored: true, image: detailsOf(image, pageLink(image, place.address, place.provider)) };
  }
  const nextStep =
    'Nothing was stored: this file was stored before, and deleted since. Ask the user; restore_images brings it back ' +
    'while it is in the trash, and again: true stores it anew.';
  return { deleted: true, filename: image.filename, nextStep };
}

/** As an import's: bytes and metadata, so that an image that was deleted and is saved with another category is a new one. */
function keyOf(sha256: string, metadata: ImageMetadata): string {
  const described = createHash('sha256').update(JSON.stringify(metadata)).digest('hex');
  return `assistant:${sha256}:${described.slice(0, 16)}`;
}

async function sha256Of(file: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunksOf(file)) hash.update(chunk);
  return hash.digest('hex');
}

function chunksOf(file: FileHandle): AsyncIterable<Uint8Array> {
  return file.createReadStream({ start: 0, autoClose: false });
}

/** Its key is that of other bytes. */
async function refuseChanged(client: ImageStorageClient, image: SavedImage, signal: AbortSignal): Promise<never> {
  await client.delete(image.filename, { provider: image.provider, permanent: true, signal });
  throw new ToolError('The file changed while it was read; nothing was stored. Call again when it is complete.');
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
