/** The tool `cleanup_images`: deletes old images, or all that a search finds, after showing which. */
import { z } from 'zod';
import { cleanupOf } from '../../client/cleanup-of.ts';
import type { CleanupOptions, CleanupResult, ImageStorageClient, Selection } from '../../client.ts';
import { type Confirmations, confirmToken, type Deleted, plannedCount, planThenAct } from '../confirmation.ts';
import { natural } from '../image.ts';
import { type DateReader, instant } from '../instant.ts';
import { cut } from '../length.ts';
import { summaryOf } from '../plan-summary.ts';
import type { Recent } from '../recent.ts';
import { type AddTool, DELETES } from '../tool.ts';

/** The number of images that a plan names: no other is deleted. */
const MAX_DELETES = 1000;
/** The contract counts in 32 bits. */
const MAX_UINT32 = 0xffff_ffff;
const MAX_REASONS = 5;
const MAX_REASON_CHARS = 100;

/** A plan over several providers could not name all images. */
const oneAtATime = z
  .string()
  .refine((name) => name !== '*', 'one provider at a time; storage_stats with provider "*" names them')
  .optional();

/** A plan of the daemon, by which nothing else goes than what was shown. */
export interface Shown {
  selection: Selection & Pick<CleanupOptions, 'provider'>;
  result: CleanupResult;
}

export function addCleanupImages(
  addTool: AddTool,
  client: ImageStorageClient,
  confirmations: Confirmations,
  dates: DateReader,
  { plans, deletions }: { plans: Recent<Shown>; deletions: Recent<Deleted> },
): void {
  addTool({
    name: 'cleanup_images',
    title: 'Clean up images',
    description:
      'Deletes old images, or all that filters select, into the trash where there is one: the oldest 1,000 at most. Each ' +
      'criterion given protects; pinned images (kept_pinned), beside a criterion those dated in the future ' +
      '(kept_future), and what came or changed since the plan (kept_changed) are spared and not counted. With more, ' +
      'others would go: call again. The first call only plans.',
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
    async run({ older_than, keep_count, keep_bytes, since: start, until: end, confirm_token, ...filters }, signal) {
      const criteria = { olderThan: older_than, keepCount: keep_count, keepBytes: keep_bytes };
      const selection = { ...filters, ...criteria, ...((start ?? end) && { dateRange: { start, end } }) };
      const shown = plans.get(confirm_token);
      // For an older daemon: images that have joined since, as after each save with keep_count, need a plan of their own.
      const maxDeletes = confirm_token === undefined ? MAX_DELETES : Math.min(plannedCount(confirm_token), MAX_DELETES);
      const planned =
        shown?.result ?? (await client.cleanup({ ...cleanupOf(selection), dryRun: true, maxDeletes, signal }));
      const { deletedCount: count, filenames } = planned;
      const value = await planThenAct(confirmations, {
        // An age as a date is another one with each call.
        subject: ['cleanup_images', filters, criteria, start !== undefined, end !== undefined],
        token: confirm_token,
        plan: { count, bytes: planned.freedBytes, filenames },
        shown: { bytes: planned.freedBytes, ...summaryOf(filenames), ...remarksOf(planned) },
        restorableUntil: planned.restorableUntil,
        async act() {
          // Once it was used, what is there now needs a plan of its own.
          if (confirm_token !== undefined) plans.delete(confirm_token);
          const options = shown
            ? cleanupOf({ ...shown.selection, plan: planned.plan! })
            : { ...cleanupOf(selection), maxDeletes: count };
          const result = await client.cleanup({ ...options, signal });
          const { restorableUntil, deletedCount, freedBytes } = result;
          deletions.set(confirm_token!, { filenames: result.filenames, provider: filters.provider });
          return { count: deletedCount, bytes: freedBytes, ...remarksOf(result), restorableUntil };
        },
      });
      if (planned.plan !== undefined && value.confirmToken !== undefined) {
        plans.set(value.confirmToken, { selection, result: planned });
      }
      return { value };
    },
  });
}

/** What is zero, false or the only one says nothing. */
function remarksOf({ keptPinned, keptFuture, keptChanged, reasons, more }: CleanupResult): object {
  const several = reasons.length > 1 ? reasons.slice(0, MAX_REASONS) : [];
  return {
    keptPinned: keptPinned || undefined,
    keptFuture: keptFuture || undefined,
    keptChanged: keptChanged || undefined,
    reasons: several.map(({ text, count, bytes }) => [cut(text, MAX_REASON_CHARS), count, bytes]),
    more: more || undefined,
  };
}
