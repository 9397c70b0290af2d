/** The tool `cleanup_images`: deletes old images, or all that a search finds, after showing which. */
import { z } from 'zod';
import { cleanupOf } from '../../client/cleanup-of.ts';
import type { CleanupOptions, CleanupResult, ImageStorageClient, Selection } from '../../client.ts';
import { type Confirmations, confirmationOutput, confirmToken, plannedCount, planThenAct } from '../confirmation.ts';
import { natural } from '../image.ts';
import { type DateReader, instant } from '../instant.ts';
import { type AddTool, DELETES } from '../tool.ts';

/** The number of images that a plan names: no other is deleted. */
const MAX_DELETES = 1000;
/** The contract counts in 32 bits. */
const MAX_UINT32 = 0xffff_ffff;
/** Plans that are kept for their tokens. */
const MAX_PLANS = 20;

/** A plan over several providers could not name all images. */
const oneAtATime = z
  .string()
  .refine((name) => name !== '*', 'one provider at a time; storage_stats with provider "*" names them')
  .optional();

/** A plan of the daemon, by which nothing else goes than what was shown. */
interface Shown {
  selection: Selection & Pick<CleanupOptions, 'provider'>;
  result: CleanupResult;
}

export function addCleanupImages(
  addTool: AddTool,
  client: ImageStorageClient,
  confirmations: Confirmations,
  dates: DateReader,
): void {
  const plans = new Map<string, Shown>();
  addTool({
    name: 'cleanup_images',
    title: 'Clean up images',
    description:
      'Deletes old images, or all that filters select, into the trash where there is one: the oldest 1,000 at most. Each ' +
      'criterion given protects; pinned images, and beside a criterion those dated in the future, are spared and not ' +
      'counted. The first call only plans.',
    annotations: { ...DELETES, idempotentHint: false },
    input: z.strictObject({
      older_than: instant(dates.parseCutoff, 'Criterion: protects what is not older', ''),
      keep_count: natural.max(MAX_UINT32).optional().describe('Criterion: protects so many of the newest that match'),
      keep_bytes: natural.optional().describe('Criterion: protects the newest that fit into them'),
      query: z.string().optional().describe('This and the next five: filters, as in list_images'),
      tags: z.array(z.string()).optional(),
      since: instant(dates.parseInstant),
      until: instant(dates.parseRangeEnd),
      model: z.string().optional(),
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
      kept_changed: natural.describe('Came or changed since the plan'),
      reasons: z.array(z.object({ text: z.string(), count: natural, bytes: natural })),
      more: z.boolean().describe('More would go: call again'),
    }),
    async run({ older_than, keep_count, keep_bytes, since: start, until: end, confirm_token, ...filters }, signal) {
      const criteria = { olderThan: older_than, keepCount: keep_count, keepBytes: keep_bytes };
      const selection = { ...filters, ...criteria, ...((start ?? end) && { dateRange: { start, end } }) };
      const shown = confirm_token === undefined ? undefined : plans.get(confirm_token);
      // For an older daemon: images that have joined since, as after each save with keep_count, need a plan of their own.
      const maxDeletes = confirm_token === undefined ? MAX_DELETES : Math.min(plannedCount(confirm_token), MAX_DELETES);
      const planned =
        shown?.result ?? (await client.cleanup({ ...cleanupOf(selection), dryRun: true, maxDeletes, signal }));
      const { plan, remarks } = partsOf(planned);
      const value = await planThenAct(confirmations, {
        // An age as a date is another one with each call.
        subject: ['cleanup_images', filters, criteria, start !== undefined, end !== undefined],
        token: confirm_token,
        plan,
        remarks,
        restorableUntil: planned.restorableUntil,
        async act() {
          // Once it was used, what is there now needs a plan of its own.
          if (confirm_token !== undefined) plans.delete(confirm_token);
          const options = shown
            ? cleanupOf({ ...shown.selection, plan: planned.plan! })
            : { ...cleanupOf(selection), maxDeletes: plan.count };
          const result = await client.cleanup({ ...options, signal });
          const done = partsOf(result);
          return { ...done.plan, ...done.remarks, restorableUntil: result.restorableUntil };
        },
      });
      if (planned.plan !== undefined && value.confirmToken !== undefined) {
        plans.set(value.confirmToken, { selection, result: planned });
        for (const token of [...plans.keys()].slice(0, -MAX_PLANS)) plans.delete(token);
      }
      return { value };
    },
  });
}

function partsOf({ deletedCount: count, freedBytes: bytes, filenames, ...rest }: CleanupResult) {
  const { keptPinned, keptFuture, keptChanged, reasons, more } = rest;
  return { plan: { count, bytes, filenames }, remarks: { keptPinned, keptFuture, keptChanged, reasons, more } };
}
