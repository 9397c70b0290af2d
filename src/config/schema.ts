/** Every setting: its name, type, bounds, default and meaning. */
import * as z from 'zod';
import { ADDRESS_FORMS, DEFAULT_ADDRESS, parseAddress } from '../address.ts';
import { DEFAULT_LIMITS } from '../storage/domain/config.ts';
import {
  byteSize,
  count,
  folder,
  httpUrl,
  isPlain,
  list,
  NOT_PLAIN,
  seconds,
  secret,
  text,
  yesOrNo,
} from './values.ts';

const MIB = 1024 * 1024;

/** What the address of a Unix socket has room for, in Linux. */
const MAX_SOCKET_PATH_BYTES = 107;

const listenAddress = z
  .string()
  .refine(isPlain, { abort: true, error: NOT_PLAIN })
  .refine((address) => parseAddress(address), {
    abort: true,
    error: ({ input }) => {
      const range = /:\d+$/.test(`${input}`) ? ', with a port of at most 65535' : '';
      return `"${input}" is no address: ${ADDRESS_FORMS}${range}`;
    },
  })
  .refine(hasRoom, `the path of a Unix socket must have at most ${MAX_SOCKET_PATH_BYTES} bytes`);

function hasRoom(text: string): boolean {
  const address = parseAddress(text)!;
  return !('path' in address) || Buffer.byteLength(address.path) <= MAX_SOCKET_PATH_BYTES;
}

/** Port 0 is another one each time. */
function areDistinct(addresses: string[]): boolean {
  const fixed = addresses.filter((address) => !address.endsWith(':0'));
  return new Set(fixed).size === fixed.length;
}

const required = () =>
  yesOrNo()
    .default(true)
    .describe('False: while it cannot be opened only its own calls fail, and it is tried again. Default: true.');

const TYPE_OF_LOCAL = 'A folder on this machine. Default: the name of the provider.';

const local = z.strictObject({
  type: z.literal('local').describe(TYPE_OF_LOCAL),
  basePath: folder()
    .default('./outputs')
    .describe('The root folder, relative to the working directory. Default: ./outputs.'),
  lockWaitSeconds: seconds(0)
    .default(30)
    .describe('How long to wait for another process to let go of the folder, in seconds. Default: 30.'),
  required: required(),
});

const S3_URL = 'https://s3.example.com';

const urls = z.strictObject({
  mode: z
    .enum(['public', 'presigned'])
    .optional()
    .describe('Fixed URLs, or ones that expire. Default: public with a cdnUrl, else presigned.'),
  expiresSeconds: seconds(1).default(3600).describe('How long a presigned URL is good for, in seconds. Default: 3600.'),
  endpoint: httpUrl(S3_URL).optional().describe('The endpoint as callers reach it. Default: that of the provider.'),
});

const bucket = text().regex(
  /^(arn:[\w:/.-]+|[\w.-]+)$/,
  'must be the name alone; what follows it in a path is the prefix',
);

const s3 = z.strictObject({
  type: z.literal('s3').describe('A bucket that speaks S3 with conditional writes. Default: the name of the provider.'),
  bucket: bucket.describe('The name of the bucket. Default: none, it must be set.'),
  region: text()
    .regex(/^[\w-]+$/, 'must be a name such as eu-central-1, or auto')
    .describe('Such as eu-central-1; auto for R2. Default: none, it must be set.'),
  accessKey: secret("The key's id, together with secretKey. Default: the SDK's own chain."),
  secretKey: secret("The key's secret, together with accessKey. Default: the SDK's own chain."),
  endpoint: httpUrl(S3_URL)
    .optional()
    .describe('Where the service is, without the bucket. Default: AWS in that region.'),
  cdnUrl: text()
    .refine(isHost, 'must be a host such as images.example.com, with or without https://')
    .optional()
    .describe('Where callers reach the bucket, with or without https://. Default: none.'),
  prefix: text().optional().describe('What all keys begin with. Default: none.'),
  forcePathStyle: yesOrNo().optional().describe('endpoint/bucket/key in requests. Default: true with an endpoint.'),
  stateDir: folder()
    .default('./outputs/metadata')
    .describe('Local folder of its catalog, lock and spool. Default: ./outputs/metadata.'),
  shared: yesOrNo().default(false).describe('Other daemons use the bucket, too. Default: false.'),
  syncSeconds: seconds(1).default(300).describe('How often a shared bucket is followed, in seconds. Default: 300.'),
  lockWaitSeconds: seconds(0)
    .default(30)
    .describe('How long to wait for another process to let go of the state, in seconds. Default: 30.'),
  required: required(),
  urls: urls.prefault({}),
});

const provider = z.discriminatedUnion('type', [local, s3.superRefine(checkS3)], { error: 'must be local or s3' });

/** What is wrong between settings of a bucket that are right by themselves. */
function checkS3({ bucket, endpoint, accessKey, secretKey }: z.output<typeof s3>, context: z.RefinementCtx): void {
  const refuse = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
  if (accessKey !== undefined && secretKey === undefined) refuse('secretKey', 'must be set, too, where accessKey is');
  if (secretKey !== undefined && accessKey === undefined) refuse('accessKey', 'must be set, too, where secretKey is');
  // As the dashboard of R2 shows it.
  if (endpoint && URL.parse(endpoint)?.pathname.split('/').includes(bucket)) {
    refuse('endpoint', `must be without the bucket: leave out /${bucket}`);
  }
}

function isHost(url: string): boolean {
  const whole = /^https?:\/\//.test(url) ? url : `https://${url}`;
  return httpUrl('').safeParse(whole).success;
}

const limits = z.strictObject({
  maxImageBytes: byteSize().default(DEFAULT_LIMITS.maxImageBytes).describe('Bytes of one image. Default: 256MiB.'),
  maxChunkBytes: byteSize('1GiB')
    .default(2 * MIB)
    .describe('Bytes of one chunk of an upload, at most 1GiB. Default: 2MiB.'),
  maxPromptBytes: byteSize()
    .default(DEFAULT_LIMITS.maxPromptBytes)
    .describe('Bytes of a prompt in UTF-8. Default: 64KiB.'),
  // Clients take answers of 4 MiB, in which it comes back.
  maxMetadataBytes: byteSize('3MiB')
    .default(DEFAULT_LIMITS.maxMetadataBytes)
    .describe('Bytes of the metadata of one image, at most 3MiB. Default: 1MiB.'),
  maxSaves: count()
    .default(DEFAULT_LIMITS.maxSaves)
    .describe('Saves in flight; the next ones queue for firstMessageSeconds. Default: 64.'),
  maxStreams: count().default(256).describe('Calls at once over one connection. Default: 256.'),
  maxConnections: count().default(1024).describe('Connections at once. Default: 1024.'),
  receiveBufferBytes: byteSize()
    .default(64 * MIB)
    .describe('Bytes received and not yet read, over all connections. Default: 64MiB.'),
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

const PROVIDERS = 'Where images go, by name: lower-case letters and digits. Default: one named local.';

export const settings = z.strictObject({
  defaultProvider: z
    .string('must name one of the providers')
    .describe('The provider of calls that name none. Default: local if it is configured, else the only one.'),
  providers: z.record(z.string(), provider).describe(PROVIDERS),
  listen: list()
    .pipe(z.array(listenAddress).min(1, 'must name an address').refine(areDistinct, 'must not name an address twice'))
    .default([DEFAULT_ADDRESS])
    .describe(`Addresses: ${ADDRESS_FORMS}; port 0 picks one. Default: ${DEFAULT_ADDRESS}.`),
  socketMode: z
    .string('must be quoted, such as "0660"')
    .regex(/^0?[0-7]{3}$/, 'must be an octal mode such as "0660"')
    .default('0600')
    .describe('Permissions of Unix sockets, in octal. Default: 0600.'),
  publicUrl: httpUrl('https://images.example.com')
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
type Provider = Config['providers'][string];

const { providers: _, limits: __, log: ___, ...single } = settings.shape;
const { urls: ____, ...singleOfS3 } = s3.shape;

const inFile = {
  local: local.partial().extend({ type: z.enum(['local', 'project']).optional().describe(TYPE_OF_LOCAL) }),
  s3: s3.partial(),
};

/** What a file may say: anything may be left out, since variables and flags may say it. For editors, and for nothing else. */
export const fileSettings = settings.partial().extend({
  providers: z
    .strictObject({ local: inFile.local.nullable(), s3: inFile.s3.nullable() })
    .partial()
    .catchall(z.union([inFile.local, inFile.s3]))
    .optional()
    .describe(PROVIDERS),
});

type Settings = ReadonlyMap<string, z.ZodType>;

/** Each setting outside the providers by its path, such as `limits.maxSaves`. */
export const SETTINGS: Settings = new Map([
  ...Object.entries(single),
  ...below('limits', limits.shape),
  ...below('log', log.shape),
]);

/** Each setting of a provider of that type by its path below the name, such as `urls.mode`. */
export const PROVIDER_SETTINGS: Readonly<Record<Provider['type'], Settings>> = {
  local: new Map(Object.entries(local.shape)),
  s3: new Map([...Object.entries(singleOfS3), ...below('urls', urls.shape)]),
};

function below(path: string, shape: z.ZodRawShape): [path: string, schema: z.ZodType][] {
  return Object.entries(shape).map(([key, schema]) => [`${path}.${key}`, schema as z.ZodType]);
}

/** The paths that some type of provider knows, below its name. */
export const PROVIDER_KEYS: readonly string[] = [
  ...new Set(Object.values(PROVIDER_SETTINGS).flatMap((known) => [...known.keys()])),
];
