/** Prints the example of the configuration file, as it is kept in examples/image-storage.yaml: every setting, explained. */
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import * as z from 'zod';
import { settings } from '../src/config/schema.ts';
import { DEFAULT_PROVIDERS } from '../src/storage/domain/config.ts';
import { policySettings } from '../src/storage/domain/policy.ts';
import { PROVIDER_TYPES } from '../src/storage/factory.ts';

const HEAD = `# yaml-language-server: $schema=image-storage.schema.json
#
# Every setting of the daemon. What is set here is its default; a setting without one, or an example, begins with \`#\` and
# no space. Take away what you do not change: \`image-storage config check --config FILE\` says whether the rest is right,
# \`config print\` what is then in force and where it came from.
#
# Flags win over variables, variables over this file. The variable of a setting is its path: \`providers.s3.secretKey\` is
# IMAGE_STORAGE_PROVIDERS_S3_SECRET_KEY, and with _FILE behind it the value is read from the file that it names.
`;
const INDENT = '  ';
const LINE_WIDTH = 120;

const { defaultProvider, providers, limits, auth, tls, http, previews, retention, log, ...others } = settings.shape;
const lines = [
  HEAD,
  ...comment(described(defaultProvider)),
  `defaultProvider: ${Object.keys(DEFAULT_PROVIDERS)[0]}`,
  '',
  ...comment(described(providers)),
  'providers:',
  ...PROVIDER_TYPES.filter(({ isConfigurable }) => isConfigurable !== false).flatMap(providerLines),
  '',
  ...Object.entries(others).flatMap(([key, schema]) => example(key, schema)),
  ...nested('auth', shapeOf(auth)!),
  ...nested('tls', shapeOf(tls)!),
  ...nested('limits', shapeOf(limits)!),
  ...nested('http', shapeOf(http)!),
  ...nested('previews', shapeOf(previews)!),
  '',
  ...comment(described(retention)),
  ...['retention:', ...indented(['drafts:', ...indented(policyLines())])].map(commented),
  ...nested('log', shapeOf(log)!),
];
process.stdout.write(`${lines.join('\n')}\n`);

/** Returns the lines of a provider named after its type: in force where it is a default, else commented out. */
function providerLines({ type, settings: { shape } }: (typeof PROVIDER_TYPES)[number]): string[] {
  const isDefault = type in DEFAULT_PROVIDERS;
  const body = Object.entries(shape).flatMap(([key, schema]) => example(key, schema, type));
  return [`${type}:`, ...indented(body)].map((line) => INDENT + (isDefault ? line : commented(line)));
}

function policyLines(): string[] {
  return Object.entries(policySettings.shape).flatMap(([key, schema]) => example(key, schema));
}

function nested(name: string, shape: z.ZodRawShape): string[] {
  const body = Object.entries(shape).flatMap(([key, schema]) => example(key, schema));
  const isCommented = body.every((line) => line.startsWith('#'));
  return ['', isCommented ? commented(`${name}:`) : `${name}:`, ...indented(body)];
}

/** Returns the lines of one setting; `type` is that of its provider. */
function example(key: string, schema: z.ZodType | z.core.$ZodType, type?: string): string[] {
  const shape = shapeOf(schema);
  if (shape !== undefined) {
    const body = Object.entries(shape).flatMap(([inner, innerSchema]) => example(inner, innerSchema));
    return [`${key}:`, ...indented(body)];
  }
  const value = key === 'type' ? type : defaultOf(schema as z.ZodType);
  const [shown] = value === undefined || value === '' ? examplesOf(schema as z.ZodType) : [value];
  const text = stringify({ [key]: shown }, { lineWidth: 0 })
    .trimEnd()
    .split('\n');
  return [...comment(described(schema as z.ZodType)), ...(shown === value ? text : text.map(commented))];
}

/** Returns the default as people write it, such as 256MiB; undefined without one. */
function defaultOf(schema: z.ZodType): unknown {
  const parsed = schema.safeParse(undefined);
  if (!parsed.success || parsed.data === undefined) return undefined;
  const words = /Default: (.+)\.$/.exec(described(schema))?.[1];
  const isSize = typeof parsed.data === 'number' && words !== undefined && Number.isNaN(Number(words));
  return isSize && isDeepStrictEqual(schema.safeParse(words).data, parsed.data) ? words : parsed.data;
}

function examplesOf(schema: z.ZodType): unknown[] {
  const { examples } = schema.meta() ?? {};
  if (Array.isArray(examples)) return examples;
  throw new Error(`a setting without a default needs an example: ${described(schema)}`);
}

function shapeOf(schema: unknown): z.ZodRawShape | undefined {
  if (schema instanceof z.ZodObject) return schema.shape;
  if (schema instanceof z.ZodPrefault) return shapeOf(schema.unwrap());
  return schema instanceof z.ZodPipe ? shapeOf(schema.in) : undefined;
}

function described({ description = '' }: z.ZodType): string {
  return description;
}

function comment(text: string): string[] {
  const wrapped: string[] = [];
  for (const word of text.split(' ')) {
    const last = wrapped.at(-1);
    if (last === undefined || last.length + word.length > LINE_WIDTH - 10) wrapped.push(`# ${word}`);
    else wrapped[wrapped.length - 1] = `${last} ${word}`;
  }
  return wrapped;
}

/** Comments a setting out, `#key: value`; explanations stay as they are. */
function commented(line: string): string {
  return /^\s*#/.test(line) ? line : line.replace(/^(\s*)/, '$1#');
}

function indented(body: string[]): string[] {
  return body.map((line) => INDENT + line);
}
