/** The provider type `s3`: images in a bucket of AWS S3, Cloudflare R2, or any S3 service with conditional writes. */
import { isIP } from 'node:net';
import * as z from 'zod';
import { stateFileOf } from '../bucket/state-files.ts';
import { DEFAULT_URL_SECONDS, type S3Config } from '../domain/config.ts';
import { httpUrl, seconds, secret, text, yesOrNo } from '../domain/setting-kinds.ts';
import type { ProviderContext, StorageProvider } from '../types.ts';
import { bucketSettings, checkBucketSettings } from './common-settings.ts';
import type { ProviderType, Root } from './provider-type.ts';

const S3_URL = 'https://s3.example.com';

const urls = z.strictObject({
  mode: z
    .enum(['public', 'presigned'])
    .optional()
    .describe('Fixed URLs, or ones that expire. Default: public with a cdnUrl, else presigned.')
    .meta({ examples: ['public'] }),
  expiresSeconds: seconds(1)
    .default(DEFAULT_URL_SECONDS)
    .describe('How long a presigned URL is good for, in seconds. Default: 3600.'),
  endpoint: httpUrl(S3_URL)
    .optional()
    .describe('The endpoint as callers reach it. Default: that of the provider.')
    .meta({ examples: [S3_URL] }),
});

const bucket = text().regex(
  /^(arn:[\w:/.-]+|[\w.-]+)$/,
  'must be the name alone; what follows it in a path is the prefix',
);

const { stateDir, create, shared, syncSeconds, fullSyncMinutes, index, trash, lockWaitSeconds, required } =
  bucketSettings;

const settings = z
  .strictObject({
    type: z
      .literal('s3')
      .describe('A bucket that speaks S3 with conditional writes. Default: the name of the provider.'),
    bucket: bucket.describe('The name of the bucket. Default: none, it must be set.').meta({ examples: ['images'] }),
    region: text()
      .regex(/^[\w-]+$/, 'must be a name such as eu-central-1, or auto')
      .describe('Such as eu-central-1; auto for R2. Default: none, it must be set.')
      .meta({ examples: ['eu-central-1'] }),
    accessKey: secret("The key's id, together with secretKey. Default: the SDK's own chain.").meta({
      examples: ['YOUR_KEY_ID'],
    }),
    secretKey: secret("The key's secret, together with accessKey. Default: the SDK's own chain.").meta({
      examples: ['YOUR_SECRET'],
    }),
    endpoint: httpUrl(S3_URL)
      .optional()
      .describe('Where the service is, without the bucket. Default: AWS in that region.')
      .meta({ examples: ['https://ACCOUNT.r2.cloudflarestorage.com'] }),
    cdnUrl: text()
      .refine(isHost, 'must be a host such as images.example.com, with or without https://')
      .optional()
      .describe('Where callers reach the bucket, with or without https://. Default: none.')
      .meta({ examples: ['images.example.com'] }),
    prefix: text()
      .optional()
      .describe('What all keys begin with. Default: none.')
      .meta({ examples: ['team-a'] }),
    forcePathStyle: yesOrNo()
      .optional()
      .describe('endpoint/bucket/key in requests. Default: true with an endpoint.')
      .meta({ examples: [true] }),
    stateDir,
    create,
    shared,
    syncSeconds,
    fullSyncMinutes,
    index,
    trash,
    lockWaitSeconds,
    required,
    urls: urls.prefault({}),
  })
  .superRefine(checkTogether)
  .superRefine(checkBucketSettings);

/** Reports settings of a bucket that are valid by themselves but not together. */
function checkTogether(config: Partial<S3Config>, context: z.RefinementCtx): void {
  const { bucket = '', endpoint, accessKey, secretKey } = config;
  const refuse = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
  // One alone would be ignored silently, in favour of any credentials that the SDK finds.
  if (accessKey !== undefined && secretKey === undefined) refuse('secretKey', 'must be set, too, where accessKey is');
  if (secretKey !== undefined && accessKey === undefined) refuse('accessKey', 'must be set, too, where secretKey is');
  // Such a request would go to an address without the bucket in it.
  const byAddress = [endpoint, config.urls?.endpoint].find((url) => url !== undefined && isAddress(url));
  if (config.forcePathStyle === false && byAddress !== undefined) {
    refuse('forcePathStyle', `must not be false with ${byAddress}: a bucket cannot be in front of an IP address`);
  }
  // The dashboard of R2 shows the endpoint in this form.
  if (endpoint && URL.parse(endpoint)?.pathname.split('/').includes(bucket)) {
    refuse('endpoint', `must be without the bucket: leave out /${bucket}`);
  }
}

function isAddress(url: string): boolean {
  return isIP((URL.parse(url)?.hostname ?? '').replace(/^\[|\]$/g, '')) !== 0;
}

function isHost(url: string): boolean {
  const whole = /^https?:\/\//.test(url) ? url : `https://${url}`;
  return httpUrl('').safeParse(whole).success;
}

/** Opens the store in the bucket. Rejects with a StoreOpenError that says which setting to change. */
export async function openS3Storage(config: S3Config, context: ProviderContext): Promise<StorageProvider> {
  const [{ s3Objects }, { urlsOf }, { openObjectStorage }] = await Promise.all([
    import('../s3/objects.ts'),
    import('../s3/urls.ts'),
    import('./object-storage.ts'),
  ]);
  const clock = { offsetMs: 0 };
  const options = { storageType: config.type, objects: s3Objects(config, { clock }), urlOf: urlsOf(config, clock) };
  return openObjectStorage({ ...config, ...options }, context);
}

export const s3Provider: ProviderType<S3Config> = {
  type: 's3',
  settings,
  folder: 'stateDir',
  stateFile: stateFileOf,
  where: ({ bucket }) => `the bucket ${bucket}`,
  root: ({ bucket, prefix = '', endpoint = '', shared = false }): Root => {
    const where = (URL.parse(endpoint)?.href ?? endpoint).replace(/\/+$/, '');
    const place = `s3://${bucket}/${prefix.replace(/^\/+|\/+$/g, '')}${where === '' ? '' : ` at ${where}`}`;
    return { setting: 'bucket', place, kind: 'store', shared };
  },
  open: openS3Storage,
  async *examine(config, name, maxImageBytes) {
    const [{ examineObjectStore }, { examinedS3 }] = await Promise.all([
      import('../doctor/bucket.ts'),
      import('../doctor/s3.ts'),
    ]);
    yield* examineObjectStore(config, name, maxImageBytes, () => examinedS3(config));
  },
};
