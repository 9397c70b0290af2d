/** Settings that several types of provider have in common. */
import * as z from 'zod';
import {
  type BucketSettings,
  DEFAULT_BUCKET_TRASH_DAYS,
  DEFAULT_FULL_SYNC_MINUTES,
  DEFAULT_LOCK_WAIT_SECONDS,
  DEFAULT_STATE_DIR,
  DEFAULT_SYNC_SECONDS,
} from '../domain/config.ts';
import { days, folder, minutes, seconds, secret, yesOrNo } from '../domain/setting-kinds.ts';

export const required = () =>
  yesOrNo()
    .default(true)
    .describe('False: while it cannot be opened only its own calls fail, and it is tried again. Default: true.');

/** `what` names the place of the store. */
export const create = (what: string) =>
  yesOrNo().default(true).describe(`False: refuse a ${what} without a store instead of making one. Default: true.`);

/** `what` names the resource that another process may hold. */
export const lockWaitSeconds = (what: string) =>
  seconds(0)
    .default(DEFAULT_LOCK_WAIT_SECONDS)
    .describe(`How long to wait for another process to let go of the ${what}, in seconds. Default: 30.`);

/** `unless` says what applies where the setting is missing. */
export const trashDays = (fallback: number, unless: string) =>
  days()
    .default(fallback)
    .describe(`How many days deleted images can be brought back; 0: deletes are for good. Default: ${unless}.`);

/** The settings of every provider over an object store. */
export const bucketSettings = {
  stateDir: folder()
    .default(DEFAULT_STATE_DIR)
    .describe('Local folder of its catalog, lock and spool. Default: ./outputs/metadata.'),
  create: create('bucket'),
  shared: yesOrNo().default(false).describe('Other daemons use the bucket, too. Default: false.'),
  syncSeconds: seconds(1)
    .default(DEFAULT_SYNC_SECONDS)
    .describe('How often new images of a shared bucket are looked for, in the last two days, in seconds. Default: 5.'),
  fullSyncMinutes: minutes(0.01)
    .optional()
    .describe('How often all days are compared, in minutes. Default: 15, or syncSeconds where that is longer.')
    .meta({ examples: [DEFAULT_FULL_SYNC_MINUTES] }),
  index: secret(
    'The URL of a Postgres that has the index, which all daemons of the bucket share. Default: a file in stateDir.',
  )
    .refine(
      (url) => url === undefined || /^postgres(ql)?:\/\//.test(url),
      'must be a URL such as postgres://user@host/db',
    )
    .meta({ examples: ['postgres://images:SECRET@db.example.com/images?sslmode=verify-full'] }),
  trash: z
    .strictObject({
      days: trashDays(
        DEFAULT_BUCKET_TRASH_DAYS,
        '0; an object can be read at its public or presigned URL until it is purged',
      ),
    })
    .prefault({}),
  lockWaitSeconds: lockWaitSeconds('state'),
  required: required(),
};

/** Reports settings of `bucketSettings` that are valid by themselves but not together. */
export function checkBucketSettings(
  { syncSeconds = 0, fullSyncMinutes = syncSeconds }: Partial<BucketSettings>,
  context: z.RefinementCtx,
): void {
  if (fullSyncMinutes * 60 >= syncSeconds) return;
  const message = `must not be shorter than syncSeconds (${syncSeconds})`;
  context.addIssue({ code: 'custom', path: ['fullSyncMinutes'], message });
}
