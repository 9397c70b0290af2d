/** Every setting: its name, type, bounds, default and meaning. */
import * as z from 'zod';
import { ADDRESS_FORMS, DEFAULT_ADDRESS, parseAddress } from '../address.ts';
import { DEFAULT_LIMITS } from '../storage/types.ts';
import { parseBytes } from './bytes.ts';

const MIB = 1024 * 1024;
const WEEK_SECONDS = 7 * 24 * 3600;

// What comes from flags and variables is text: each kind of value is also read from its text.

const text = () =>
  z
    .string({ error: ({ input }) => (input === undefined ? 'must be set' : 'must be text') })
    .min(1, 'must not be empty');

const yesOrNo = () =>
  z.union([z.boolean(), z.enum(['true', 'false', '1', '0']).transform((value) => /^(true|1)$/.test(value))], {
    error: 'must be true or false',
  });

const list = () =>
  z.union([z.array(z.string()), z.string().transform((value) => value.split(',').map((item) => item.trim()))], {
    error: 'must be a list of text',
  });

const number = (error: string, accepts: (value: number) => boolean) =>
  z
    .union(
      [
        z.number(),
        z
          .string()
          .regex(/^\d+(\.\d+)?$/)
          .transform(Number),
      ],
      { error },
    )
    .refine(accepts, error);

const seconds = (min: number) =>
  number(`must be seconds, ${min} to ${WEEK_SECONDS}`, (value) => value >= min && value <= WEEK_SECONDS);

const count = () =>
  number('must be a whole number, 1 to 1000000', (value) => Number.isInteger(value) && value >= 1 && value <= 1e6);

const byteSize = () => {
  const error = 'must be a number of bytes above 0, or a size such as 256MiB or 8MB';
  const size = z.union([z.number(), z.string().transform(parseBytes)], { error });
  return size.refine((bytes) => Number.isSafeInteger(bytes) && bytes > 0, error);
};

const listenAddress = z.string().refine((address) => parseAddress(address), {
  error: ({ input }) => `"${input}" is no address: ${ADDRESS_FORMS}`,
});

const local = z.strictObject({
  type: z.literal('local').describe('A folder on this machine. Default: the name of the provider.'),
  basePath: text()
    .default('./outputs')
    .describe('The root folder, relative to the working directory. Default: ./outputs.'),
  lockWaitSeconds: seconds(0)
    .optional()
    .describe('How long to wait for another process to let go of the folder, in seconds. Default: 30.'),
});

const httpUrl = () => z.url({ protocol: /^https?$/, error: 'must be a URL such as https://s3.example.com' });

const urls = z.strictObject({
  mode: z
    .enum(['public', 'presigned'])
    .optional()
    .describe('Fixed URLs, or ones that expire. Default: public with a cdnUrl, else presigned.'),
  expiresSeconds: seconds(1).optional().describe('How long a presigned URL is good for, in seconds. Default: 3600.'),
  endpoint: httpUrl().optional().describe('The endpoint as callers reach it. Default: that of the provider.'),
});

const s3 = z.strictObject({
  type: z.literal('s3').describe('A bucket that speaks S3 with conditional writes. Default: the name of the provider.'),
  bucket: text().describe('The name of the bucket. Default: none, it must be set.'),
  region: text().describe('Such as eu-central-1; auto for R2. Default: none, it must be set.'),
  accessKey: text().optional().describe("The key's id, together with secretKey. Default: the SDK's own chain."),
  secretKey: text().optional().describe("The key's secret, together with accessKey. Default: the SDK's own chain."),
  endpoint: httpUrl().optional().describe('Where the service is. Default: AWS in that region.'),
  cdnUrl: text().optional().describe('Where callers reach the bucket, with or without https://. Default: none.'),
  prefix: text().optional().describe('What all keys begin with. Default: none.'),
  forcePathStyle: yesOrNo().optional().describe('endpoint/bucket/key in requests. Default: true with an endpoint.'),
  stateDir: text()
    .default('./outputs/metadata')
    .describe('Local folder of its catalog, lock and spool. Default: ./outputs/metadata.'),
  shared: yesOrNo().optional().describe('Other daemons use the bucket, too. Default: false.'),
  syncSeconds: seconds(1).optional().describe('How often a shared bucket is followed, in seconds. Default: 300.'),
  lockWaitSeconds: seconds(0)
    .optional()
    .describe('How long to wait for another process to let go of the state, in seconds. Default: 30.'),
  urls: urls.optional(),
});

const provider = z.discriminatedUnion('type', [local, s3], { error: 'must be local or s3' });

const limits = z.strictObject({
  maxImageBytes: byteSize().default(DEFAULT_LIMITS.maxImageBytes).describe('Bytes of one image. Default: 256MiB.'),
  maxChunkBytes: byteSize()
    .default(2 * MIB)
    .describe('Bytes of one chunk of an upload. Default: 2MiB.'),
  maxPromptBytes: byteSize()
    .default(DEFAULT_LIMITS.maxPromptBytes)
    .describe('Bytes of a prompt in UTF-8. Default: 64KiB.'),
  maxMetadataBytes: byteSize()
    .default(DEFAULT_LIMITS.maxMetadataBytes)
    .describe('Bytes of the metadata of one image. Default: 1MiB.'),
  maxSaves: count()
    .default(DEFAULT_LIMITS.maxSaves)
    .describe('Saves in flight; the next ones queue for firstMessageSeconds. Default: 64.'),
  maxStreams: count().default(256).describe('Calls at once over one connection. Default: 256.'),
  maxConnections: count().default(1024).describe('Connections at once. Default: 1024.'),
  receiveBufferBytes: byteSize()
    .default(128 * MIB)
    .describe('Bytes received and not yet read, over all connections. Default: 128MiB.'),
  firstMessageSeconds: seconds(0.01)
    .default(10)
    .describe('How long a call may take to send its first message, in seconds. Default: 10.'),
  chunkGapSeconds: seconds(0.01).default(30).describe('The longest pause between two chunks, in seconds. Default: 30.'),
  saveSeconds: seconds(0.01).default(600).describe('How long an upload may take, in seconds. Default: 600.'),
});

const log = z.strictObject({
  level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('The least important level that is logged. Default: info.'),
  format: z
    .enum(['auto', 'json', 'pretty'])
    .default('auto')
    .describe('JSON lines, or readable ones; auto is readable on a terminal. Default: auto.'),
});

export const settings = z.strictObject({
  defaultProvider: z
    .string('must name one of the providers')
    .describe('The provider of calls that name none. Default: local if it is configured, else the only one.'),
  providers: z
    .record(z.string(), provider)
    .describe('Where images go, by name: lower-case letters and digits. Default: one named local.'),
  listen: list()
    .pipe(z.array(listenAddress).min(1, 'must name an address'))
    .default([DEFAULT_ADDRESS])
    .describe(`Addresses: ${ADDRESS_FORMS}; port 0 picks one. Default: ${DEFAULT_ADDRESS}.`),
  socketMode: z
    .string('must be quoted, such as "0660"')
    .regex(/^0?[0-7]{3}$/, 'must be an octal mode such as "0660"')
    .default('0600')
    .describe('Permissions of Unix sockets, in octal. Default: 0600.'),
  publicUrl: z
    .url({ protocol: /^https?$/, error: 'must be a URL such as https://images.example.com' })
    .transform((url) => url.replace(/\/+$/, ''))
    .default('')
    .describe('Prefix of the URLs of images in local folders. Default: none, URLs are paths.'),
  insecure: yesOrNo()
    .default(false)
    .describe(
      'Listen on addresses that other machines can reach, although nobody is asked who they are. Default: false.',
    ),
  shutdownGraceSeconds: seconds(0)
    .default(30)
    .describe('How long calls that run may take to finish after SIGTERM, in seconds. Default: 30.'),
  limits: limits
    // A save that waits for its turn has sent its first message: one timer covers both.
    .transform((values) => ({ ...values, saveQueueMs: values.firstMessageSeconds * 1000 }))
    .prefault({}),
  log: log.prefault({}),
});

export type Config = z.output<typeof settings>;

const { providers: _, limits: __, log: ___, ...single } = settings.shape;

/** The path of each setting outside the providers, such as `limits.maxSaves`. */
export const SETTING_PATHS: readonly string[] = [
  ...Object.keys(single),
  ...Object.keys(limits.shape).map((key) => `limits.${key}`),
  ...Object.keys(log.shape).map((key) => `log.${key}`),
];

/** The paths that some type of provider knows, below its name. */
export const PROVIDER_KEYS: readonly string[] = [
  ...new Set(provider.options.flatMap((option) => Object.keys(option.shape)).filter((key) => key !== 'urls')),
  ...Object.keys(urls.shape).map((key) => `urls.${key}`),
];
