/** The tool `delete_images`: deletes images by name, after showing them. */
import { z } from 'zod';
import { type DeleteResult, type Image, type ImageStorageClient, ImageStorageError } from '../../client.ts';
import { type Confirmations, type Deleted, planThenAct } from '../confirmation.ts';
import { cut, firstOf } from '../length.ts';
import { summaryOf } from '../plan-summary.ts';
import type { Recent } from '../recent.ts';
import { type AddTool, DELETES } from '../tool.ts';

const MAX_FILENAMES = 100;
const PROMPT_CHARS = 40;

interface Found {
  images: Image[];
  notDeleted: Omit<DeleteResult, 'deleted'>[];
}

export function addDeleteImages(
  addTool: AddTool,
  client: ImageStorageClient,
  confirmations: Confirmations,
  deletions: Recent<Deleted>,
): void {
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
    async run({ filenames, provider, confirm_token }, signal) {
      const found = await find(client, new Set(filenames), provider, signal);
      const value = await planThenAct(confirmations, {
        subject: ['delete_images', provider],
        token: confirm_token,
        plan: sealedOf(found),
        shown: shownOf(found),
        restorableUntil: await wayBack(client, provider, signal),
        act: async () => {
          const names = found.images.map((image) => image.filename);
          const results = await client.delete(names, { provider, signal });
          const done = outcomeOf(found, results);
          deletions.set(confirm_token!, { filenames: done.images.map((image) => image.filename), provider });
          const { count, bytes, notDeleted } = sealedOf(done);
          return { count, bytes, notDeleted: firstOf(notDeleted), restorableUntil: earliestOf(results) };
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

/** Without URLs: a signed one differs from call to call, and no second plan would match the first. */
function sealedOf({ images, notDeleted }: Found) {
  const bytes = images.reduce((sum, { size }) => sum + size, 0);
  const sealed = images.map(({ url: _, ...image }) => image);
  return {
    count: images.length,
    bytes,
    images: sealed,
    notDeleted: notDeleted.map(({ filename, reason }) => ({ filename, reason })),
  };
}

function shownOf({ images, notDeleted }: Found): object {
  const { tenOldest, ...summary } = summaryOf(images.map(({ filename }) => filename));
  const oldest = images.filter(({ filename }) => tenOldest.includes(filename));
  return {
    bytes: sealedOf({ images, notDeleted }).bytes,
    ...summary,
    pinned: images.filter(({ pinned }) => pinned).length || undefined,
    tenOldest: oldest
      .sort((one, other) => (one.filename < other.filename ? -1 : 1))
      .map(({ filename, metadata }) => ({ filename, prompt: cut(metadata.prompt, PROMPT_CHARS) })),
    notDeleted: firstOf(notDeleted.map(({ filename, reason }) => ({ filename, reason }))),
  };
}
