/** The tool `cleanup_images`: deletes old images, after showing which. */
import { z } from 'zod';
import type { CleanupResult, ImageStorageClient } from '../../client.ts';
import { type Confirmations, confirmationOutput, confirmToken, plannedCount, planThenAct } from '../confirmation.ts';
import { natural } from '../image.ts';
import { type DateReader, instant } from '../instant.ts';
import { type AddTool, DELETES } from '../tool.ts';

/** The number of images that a plan names: no other is deleted. */
const MAX_DELETES = 1000;
/** The contract counts in 32 bits. */
const MAX_UINT32 = 0xffff_ffff;

/** A plan over several providers could not name all images. */
const oneAtATime = z
  .string()
  .refine((name) => name !== '*', 'one provider at a time; storage_stats with provider "*" names them')
  .optional();

export function addCleanupImages(
  addTool: AddTool,
  client: ImageStorageClient,
  confirmations: Confirmations,
  dates: DateReader,
): void {
  addTool({
    name: 'cleanup_images',
    title: 'Clean up old images',
    description:
      'Deletes old images, into the trash where there is one, oldest first, at most 1,000 a call. Each criterion that ' +
      'is given (older_than, keep_count, keep_bytes) protects; pinned images and those dated in the future are spared ' +
      'and not counted. The first call only answers with the plan.',
    annotations: { ...DELETES, idempotentHint: false },
    input: z.strictObject({
      older_than: instant(dates.parseCutoff, 'Criterion: protects what was not generated before this', ''),
      keep_count: natural
        .max(MAX_UINT32)
        .optional()
        .describe('Criterion: protects the newest so many that match the filters'),
      keep_bytes: natural.optional().describe('Criterion: protects the newest that fit into so many bytes'),
      model: z.string().optional().describe('Filter, as in list_images; so is category'),
      category: z.string().optional(),
      provider: oneAtATime,
      confirm_token: confirmToken,
    }),
    output: z.object({
      ...confirmationOutput,
      count: natural,
      bytes: natural,
      filenames: z.array(z.string()).describe('Oldest first'),
      kept_pinned: natural,
      kept_future: natural,
      reasons: z.array(z.object({ text: z.string(), count: natural, bytes: natural })),
      more: z.boolean().describe('More would go: call again for the next ones'),
    }),
    async run({ older_than, keep_count, keep_bytes, confirm_token, ...filters }, signal) {
      const criteria = { ...filters, olderThan: older_than, keepCount: keep_count, keepBytes: keep_bytes, signal };
      // Images that have joined since, as after each save with keep_count, need a plan of their own.
      const maxDeletes = confirm_token === undefined ? MAX_DELETES : Math.min(plannedCount(confirm_token), MAX_DELETES);
      const planned = await client.cleanup({ ...criteria, dryRun: true, maxDeletes });
      const { plan, remarks } = partsOf(planned);
      const value = await planThenAct(confirmations, {
        subject: ['cleanup_images', filters.provider],
        token: confirm_token,
        plan,
        remarks,
        restorableUntil: planned.restorableUntil,
        async act() {
          const result = await client.cleanup({ ...criteria, maxDeletes: plan.count });
          const done = partsOf(result);
          return { ...done.plan, ...done.remarks, restorableUntil: result.restorableUntil };
        },
      });
      return { value };
    },
  });
}

function partsOf({ deletedCount: count, freedBytes: bytes, filenames, ...rest }: CleanupResult) {
  const { keptPinned, keptFuture, reasons, more } = rest;
  return { plan: { count, bytes, filenames }, remarks: { keptPinned, keptFuture, reasons, more } };
}
