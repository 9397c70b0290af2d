/** Every setting: its name, type, bounds, default and meaning. */
import * as z from 'zod';
import { ADDRESS_FORMS, DEFAULT_ADDRESS, parseAddress } from '../address.ts';
import { SCOPES } from '../auth/scope.ts';
import { parseUrlKeys, UrlKeysError } from '../auth/signed-url.ts';
import { parseTokens, TokensError } from '../auth/tokens.ts';
import { type AnyProviderConfig, DEFAULT_LIMITS, type PolicySettings } from '../storage/domain/config.ts';
import { policySettings } from '../storage/domain/policy.ts';
import {
  byteSize,
  count,
  file,
  hostName,
  httpUrl,
  isPlain,
  list,
  maxAge,
  mode,
  NOT_PLAIN,
  network,
  origin,
  seconds,
  yesOrNo,
} from '../storage/domain/setting-kinds.ts';
import { PROVIDER_TYPES } from '../storage/factory.ts';

const MIB = 1024 * 1024;

/** The longest path of a Unix socket on Linux, see unix(7). */
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

const addresses = () => list().pipe(z.array(listenAddress).refine(areDistinct, 'must not name an address twice'));

function hasRoom(text: string): boolean {
  const address = parseAddress(text)!;
  return !('path' in address) || Buffer.byteLength(address.path) <= MAX_SOCKET_PATH_BYTES;
}

/** Returns whether no address occurs twice; port 0 is another port each time. */
function areDistinct(addresses: string[]): boolean {
  const fixed = addresses.filter((address) => !address.endsWith(':0'));
  return new Set(fixed).size === fixed.length;
}

const TYPES = PROVIDER_TYPES.filter(({ isConfigurable }) => isConfigurable !== false);
const ALIAS_OF = new Map(TYPES.map(({ type, alias }) => [type, alias]));

type OneOf = [z.ZodObject, ...z.ZodObject[]];

const provider = z.discriminatedUnion('type', TYPES.map((type) => type.settings) as OneOf, {
  error: `must be ${TYPES.map(({ type }) => type).join(' or ')}`,
});

const limits = z.strictObject({
  maxImageBytes: byteSize().default(DEFAULT_LIMITS.maxImageBytes).describe('Bytes of one image. Default: 256MiB.'),
  imageCheck: z
    .enum(['structure', 'pixels', 'ends'])
    .default(DEFAULT_LIMITS.imageCheck)
    .describe(
      'What an image must pass: structure checks its parts, the checksums of a PNG and that pixels do not end in zeros; pixels decompresses those of a PNG, too; ends only walks the parts. Default: structure.',
    ),
  maxChunkBytes: byteSize('1GiB')
    .default(2 * MIB)
    .describe('Bytes of one chunk of an upload, at most 1GiB. Default: 2MiB.'),
  maxPromptBytes: byteSize()
    .default(DEFAULT_LIMITS.maxPromptBytes)
    .describe('Bytes of a prompt in UTF-8. Default: 64KiB.'),
  // Metadata comes back in answers, of which clients accept 4 MiB.
  maxMetadataBytes: byteSize('3MiB')
    .default(DEFAULT_LIMITS.maxMetadataBytes)
    .describe('Bytes of the metadata of one image, at most 3MiB. Default: 1MiB.'),
  maxSaves: count()
    .default(DEFAULT_LIMITS.maxSaves)
    .describe('Saves in flight; the next ones queue for firstMessageSeconds. Default: 64.'),
  leastBytesPerSecond: byteSize()
    .default(DEFAULT_LIMITS.leastBytesPerSecond)
    .describe(
      'Bytes that an upload must send in a second to keep its place among maxSaves while another has waited for a second. Default: 4KiB.',
    ),
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
  access: yesOrNo()
    .default(true)
    .describe('Whether each save, get and delete has a line at level info. Default: true.'),
});

const http = z.strictObject({
  allowedHosts: list()
    .pipe(z.array(hostName()))
    .default([])
    .describe(
      'Names under which the daemon is reached over HTTP, beside localhost, addresses, the name of the machine and that of publicUrl. Default: none.',
    )
    .meta({ examples: [['images.internal']] }),
  corsOrigins: list()
    .pipe(z.array(origin()))
    .default([])
    .describe(
      'Origins of other pages that may read what links open, and do what a token of their own allows. Default: none.',
    )
    .meta({ examples: [['http://127.0.0.1:8188']] }),
  trustedProxies: list()
    .pipe(z.array(network('unix')))
    .default([])
    .describe(
      'Proxies whose X-Forwarded-For and X-Forwarded-Proto count: addresses, networks such as 10.0.0.0/8, and unix for whatever connects to a socket. Default: none.',
    )
    .meta({ examples: [['127.0.0.1', '10.0.0.0/8']] }),
  cacheMaxAge: maxAge()
    .default(31_536_000)
    .describe('How long a browser may keep an image, in seconds. Default: 31536000.'),
});

const previews = z.strictObject({
  enabled: yesOrNo()
    .default(true)
    .describe('Whether small copies of images are made where the package sharp is installed. Default: true.'),
  maxBytes: byteSize()
    .default(1024 * MIB)
    .describe(
      'Bytes of previews that are kept in metadata/previews, and for buckets in previews of stateDir; those that were not used for the longest time go first. Default: 1GiB.',
    ),
});

const auth = z.strictObject({
  tokens: z
    .string('must be text, a line for each token')
    .superRefine(checked(tokensProblem))
    .optional()
    .meta({
      description:
        'Who may call: a line for each token with name, sha256, scopes and, at will, expiry, as image-storage token new prints it. Default: nobody is asked.',
      writeOnly: true,
      examples: ['worker 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a read,write 2030-01-31'],
    }),
  tokensFile: file()
    .describe('A file of further such lines, which is read again when it changes. Default: none.')
    .meta({ examples: ['/etc/image-storage/tokens'] }),
  urlKeys: z
    .string('must be text, a line for each key')
    .superRefine(checked(keysProblem))
    .optional()
    .meta({
      description:
        'What signs links and the sessions of browsers: a key a line, the first signs, what the others have signed holds on; the same for all daemons of a fleet. Default: a key of its own, in the state folder of the default provider.',
      writeOnly: true,
      examples: ['YOUR_KEY_OF_OPENSSL_RAND_BASE64_32'],
    }),
});

const tls = z.strictObject({
  cert: file()
    .describe(
      'The certificate with its chain, in PEM, read again when it changes: addresses that other machines reach then take TLS only. Default: none.',
    )
    .meta({ examples: ['/etc/image-storage/tls.crt'] }),
  key: file()
    .describe('The key of the certificate, in PEM. Default: none.')
    .meta({ examples: ['/etc/image-storage/tls.key'] }),
  clientCa: file()
    .describe('Whose clients may call without a token, in PEM: they show a certificate that it signed. Default: none.')
    .meta({ examples: ['/etc/image-storage/client-ca.crt'] }),
  clientScopes: list()
    .pipe(z.array(z.enum(SCOPES, `must be of ${SCOPES.join(', ')}`)))
    .default(['read'])
    .describe('What clients with such a certificate may do: read, write, delete, admin. Default: read.'),
});

/** Reports what is wrong with the lines; that quotes nothing of them. */
function checked(problemOf: (text: string) => string | undefined) {
  return (text: string, context: z.RefinementCtx): void => {
    const message = problemOf(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  };
}

function tokensProblem(text: string): string | undefined {
  try {
    parseTokens(text);
    return undefined;
  } catch (error) {
    if (error instanceof TokensError) return error.message;
    throw error;
  }
}

function keysProblem(text: string): string | undefined {
  try {
    parseUrlKeys(text);
    return undefined;
  } catch (error) {
    if (error instanceof UrlKeysError) return error.message;
    throw error;
  }
}

const RETENTION =
  'What goes by itself, by name: each policy deletes the images that none of its rules keeps, but no pinned one. Default: none.';
const PROVIDERS = 'Where images go, by name: lower-case letters and digits. Default: one named local.';

export const settings = z.strictObject({
  defaultProvider: z
    .string('must name one of the providers')
    .describe('The provider of calls that name none. Default: local if it is configured, else the only one.'),
  providers: z.record(z.string(), provider).describe(PROVIDERS),
  listen: addresses()
    .refine((named) => named.length > 0, 'must name an address')
    .default([DEFAULT_ADDRESS])
    .describe(`Addresses: ${ADDRESS_FORMS}; port 0 picks one. Default: ${DEFAULT_ADDRESS}.`),
  opsListen: addresses()
    .default([])
    .describe(
      'Addresses for probes and Prometheus, which serve health and metrics and nothing else, and may be reached from other machines. Default: none.',
    )
    .meta({ examples: [['0.0.0.0:9090']] }),
  socketMode: mode(/^0?[0-7]{3}$/, '0660')
    .default('0600')
    .describe('Permissions of Unix sockets, in octal. Default: 0600.'),
  publicUrl: httpUrl('https://images.example.com')
    .transform((url) => url.replace(/\/+$/, ''))
    .default('')
    .describe(
      'Prefix of the URLs of images in local folders, which may have a path; its host may be asked for. Default: none, URLs are paths.',
    )
    .meta({ examples: ['https://images.example.com'] }),
  insecure: yesOrNo()
    .default(false)
    .describe(
      'Listen on addresses that other machines can reach, although nobody is asked who they are. Default: false.',
    ),
  auth: auth.prefault({}),
  tls: tls.prefault({}),
  shutdownDelaySeconds: seconds(0)
    .default(0)
    .describe(
      'How long calls are still accepted after SIGTERM, while health says NOT_SERVING, in seconds. Default: 0.',
    ),
  shutdownGraceSeconds: seconds(0)
    .default(30)
    .describe('How long calls that run may take to finish after that, in seconds. Default: 30.'),
  limits: limits
    // A save that waits for its turn has sent its first message: one timer covers both.
    .transform((values) => ({ ...values, saveQueueMs: values.firstMessageSeconds * 1000 }))
    .prefault({}),
  http: http.prefault({}),
  previews: previews.prefault({}),
  retention: z.record(z.string(), policySettings).default({}).describe(RETENTION),
  log: log.prefault({}),
});

export type Config = Omit<z.output<typeof settings>, 'providers' | 'retention'> & {
  providers: Record<string, AnyProviderConfig>;
  retention: Record<string, PolicySettings>;
};

/** The settings of providers in a file: all optional, since variables and flags may set them. For editors only. */
const inFile = new Map(TYPES.map(({ type, settings }) => [type, partlyGiven(type, settings.shape)]));

export const fileSettings = settings.partial().extend({
  providers: z
    .strictObject(Object.fromEntries([...inFile].map(([type, schema]) => [type, schema.nullable()])))
    .partial()
    .catchall(z.union([...inFile.values()] as unknown as OneOf))
    .optional()
    .describe(PROVIDERS),
});

function partlyGiven(type: string, shape: z.ZodRawShape): z.ZodObject {
  const optional = z.strictObject(shape).partial();
  const alias = ALIAS_OF.get(type);
  if (alias === undefined) return optional;
  const { description = '' } = shape.type as z.ZodType;
  return optional.extend({ type: z.enum([type, alias]).optional().describe(description) });
}

type SettingsByPath = ReadonlyMap<string, z.ZodType>;

const { providers: _, limits: __, retention: ___, ...others } = settings.shape;

/** Each setting outside the providers by its path, such as `limits.maxSaves`. */
export const SETTINGS: SettingsByPath = new Map([...byPath(others), ...byPath(limits.shape, 'limits.')]);

/** Each setting of a provider of that type by its path below the name, such as `urls.mode`. */
export const PROVIDER_SETTINGS: Readonly<Record<string, SettingsByPath>> = Object.fromEntries(
  TYPES.map((type) => [type.type, new Map(byPath(type.settings.shape))]),
);

/** Each setting of a retention policy by its name, such as `keepWithin`. */
export const POLICY_SETTINGS: SettingsByPath = new Map(byPath(policySettings.shape));

/** Yields the settings of a shape, including those of nested objects, which have defaults of their own. */
function* byPath(shape: z.ZodRawShape, prefix = ''): Generator<[path: string, schema: z.ZodType]> {
  for (const [key, schema] of Object.entries(shape)) {
    const inner = schema instanceof z.ZodPrefault ? schema.unwrap() : schema;
    if (inner instanceof z.ZodObject) yield* byPath(inner.shape, `${prefix}${key}.`);
    else yield [prefix + key, schema as z.ZodType];
  }
}

/** The paths below a provider's name that at least one type of provider has. */
export const PROVIDER_KEYS: readonly string[] = [
  ...new Set(Object.values(PROVIDER_SETTINGS).flatMap((known) => [...known.keys()])),
];
