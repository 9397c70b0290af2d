/** The tool `delete_images`: deletes images by name, after showing them. */
import { z } from 'zod';
import { type DeleteResult, type Image, type ImageStorageClient, ImageStorageError } from '../../client.ts';
import { type Confirmations, confirmationOutput, confirmToken, planThenAct } from '../confirmation.ts';
import { filename, natural, oneProvider, summaryOf, summarySchema } from '../image.ts';
import { type AddTool, DELETES } from '../tool.ts';

const MAX_FILENAMES = 100;

interface Found {
  images: Image[];
  notDeleted: Omit<DeleteResult, 'deleted'>[];
}

export function addDeleteImages(addTool: AddTool, client: ImageStorageClient, confirmations: Confirmations): void {
  addTool({
    name: 'delete_images',
    title: 'Delete images',
    description:
      'Deletes the named images for good, pinned ones too. The first call only answers with the plan: ' +
      'which images would go.',
    annotations: DELETES,
    input: z.strictObject({
      filenames: z.array(filename).min(1).max(MAX_FILENAMES),
      provider: oneProvider,
      confirm_token: confirmToken,
    }),
    output: z.object({
      ...confirmationOutput,
      count: natural.describe('Images that went, or would go'),
      bytes: natural.describe('What they had'),
      images: z.array(summarySchema.omit({ url: true })).describe('These images'),
      not_deleted: z.array(z.object({ filename: z.string(), reason: z.string() })),
    }),
    async run({ filenames, provider, confirm_token }, signal) {
      const found = await find(client, new Set(filenames), provider, signal);
      const value = await planThenAct(confirmations, {
        subject: ['delete_images', provider],
        token: confirm_token,
        plan: planOf(found),
        act: async () => {
          const names = found.images.map((image) => image.filename);
          return planOf(outcomeOf(found, await client.delete(names, { provider, signal })));
        },
      });
      return { value };
    },
  });
}

async function find(
  client: ImageStorageClient,
  filenames: Iterable<string>,
  provider: string | undefined,
  signal: AbortSignal,
): Promise<Found> {
  const found: Found = { images: [], notDeleted: [] };
  for (const filename of filenames) {
    try {
      found.images.push((await client.get(filename, { provider, metadataOnly: true, signal })).image);
    } catch (error) {
      if (!(error instanceof ImageStorageError) || error.reason !== 'IMAGE_NOT_FOUND') throw error;
      found.notDeleted.push({ filename, reason: error.reason });
    }
  }
  return found;
}

function outcomeOf({ images, notDeleted }: Found, results: DeleteResult[]): Found {
  const kept = new Set(results.filter(({ deleted }) => !deleted).map((result) => result.filename));
  return {
    images: images.filter((image) => !kept.has(image.filename)),
    notDeleted: [...notDeleted, ...results.filter(({ deleted }) => !deleted)],
  };
}

function planOf({ images, notDeleted }: Found) {
  const bytes = images.reduce((sum, { size }) => sum + size, 0);
  // Without URLs: a signed one differs from call to call, and no second plan would match the first.
  return {
    count: images.length,
    bytes,
    images: images.map((image) => ({ ...summaryOf(image), url: undefined })),
    notDeleted,
  };
}
