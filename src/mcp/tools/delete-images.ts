/** The tool `delete_images`: deletes images by name, after showing them. */
import { z } from 'zod';
import { type DeleteResult, type Image, type ImageStorageClient, ImageStorageError } from '../../client.ts';
import { type Confirmations, confirmationOutput, planThenAct } from '../confirmation.ts';
import { natural, summaryOf, summarySchema } from '../image.ts';
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
      'Deletes the named images, pinned ones too, into the trash where there is one. The first call only plans.',
    annotations: DELETES,
    input: z.strictObject({
      filenames: z.array(z.string()).min(1).max(MAX_FILENAMES),
      provider: z.string().optional(),
      confirm_token: z.string().optional().describe('As in cleanup_images'),
    }),
    output: z.object({
      ...confirmationOutput,
      count: natural,
      bytes: natural,
      images: z.array(summarySchema.omit({ url: true })),
      not_deleted: z.array(z.object({ filename: z.string(), reason: z.string() })),
    }),
    async run({ filenames, provider, confirm_token }, signal) {
      const found = await find(client, new Set(filenames), provider, signal);
      const value = await planThenAct(confirmations, {
        subject: ['delete_images', provider],
        token: confirm_token,
        plan: planOf(found),
        restorableUntil: await wayBack(client, provider, signal),
        act: async () => {
          const names = found.images.map((image) => image.filename);
          const results = await client.delete(names, { provider, signal });
          return { ...planOf(outcomeOf(found, results)), restorableUntil: earliestOf(results) };
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

/** Asks a cleanup of no image until when what it deletes could be brought back; a lost index leaves that open. */
async function wayBack(
  client: ImageStorageClient,
  provider: string | undefined,
  signal: AbortSignal,
): Promise<Date | undefined> {
  const none = { keepCount: 0, maxDeletes: 0, dryRun: true };
  const plan = await client.cleanup({ ...none, provider, signal }).catch(() => undefined);
  return plan?.restorableUntil;
}

/** Returns until when all of them can be brought back; undefined where one of them is gone for good. */
function earliestOf(results: DeleteResult[]): Date | undefined {
  const times = results.filter(({ deleted }) => deleted).map(({ restorableUntil }) => restorableUntil?.getTime() ?? 0);
  const earliest = Math.min(...times);
  return earliest > 0 && times.length > 0 ? new Date(earliest) : undefined;
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
