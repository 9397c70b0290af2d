/** Reads the layers of the configuration (a YAML file, variables, flags), each as paths with values. */
import { closeSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Document, isNode, LineCounter, parseDocument } from 'yaml';
import { inWords } from '../storage/disk/in-words.ts';
import { POLICY_NAME, POLICY_NAMED, WITHOUT_RULE } from '../storage/domain/policy.ts';
import { nearest } from './nearest.ts';
import type { Environment } from './process.ts';
import { POLICY_SETTINGS, PROVIDER_KEYS, SETTINGS } from './schema.ts';

/** One value as it was given. */
export interface Setting {
  /** `limits.maxSaves` */
  path: string;
  value: unknown;
  /** The flag, the variable, or the file with its line, for messages. */
  origin: string;
}

/** The settings of one source, and the problems of those that could not be read. */
export interface Layer {
  settings: Setting[];
  problems: string[];
}

/** The settings that have a flag. */
export interface Flags {
  listen?: string[];
  basePath?: string;
  publicUrl?: string;
  insecure?: boolean;
  logLevel?: string;
  logFormat?: string;
}

const PATH_OF_FLAG: Record<keyof Flags, string> = {
  listen: 'listen',
  basePath: 'providers.local.basePath',
  publicUrl: 'publicUrl',
  insecure: 'insecure',
  logLevel: 'log.level',
  logFormat: 'log.format',
};

export function readFlags(flags: Flags): Layer {
  const settings = Object.entries(PATH_OF_FLAG).map(([flag, path]) => ({
    path,
    value: flags[flag as keyof Flags],
    origin: `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
  }));
  return { settings: settings.filter(({ value }) => value !== undefined), problems: [] };
}

const PROVIDER_NAME = /^[a-z][a-z0-9]*$/;
const KEY = /^[\p{L}\d_.-]+$/u;
const PREFIX = 'IMAGE_STORAGE_';
const FILE_SUFFIX = '_FILE';
const MAX_VALUE_BYTES = 64 * 1024;
const MAX_FILE_BYTES = 1024 * 1024;
/** Variables that name the YAML file, and those of clients: the daemon, how it is trusted, and their token. */
const NOT_SETTINGS = new Set([
  'IMAGE_STORAGE_CONFIG',
  'IMAGE_STORAGE_ADDRESS',
  'IMAGE_STORAGE_TOKEN',
  'IMAGE_STORAGE_TOKEN_FILE',
  'IMAGE_STORAGE_CA_FILE',
]);
/** Variables that Kubernetes sets for a Service whose name begins with image-storage. */
const KUBERNETES = /^IMAGE_STORAGE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)$/;

/** Reads the settings of variables; empty ones count as not set. */
export function readEnvironment(env: Environment, cwd: string): Layer {
  const layer: Layer = { settings: [], problems: [] };
  const names = Object.keys(env).filter((name) => name.startsWith(PREFIX) && env[name] && !NOT_SETTINGS.has(name));
  for (const name of names) {
    const path = pathOfVariable(name);
    const fileOf = name.endsWith(FILE_SUFFIX) ? name.slice(0, -FILE_SUFFIX.length) : '';
    const filePath = pathOfVariable(fileOf);
    const long = SHORT_NAMES.has(name) ? variableOf(path!) : '';
    const longName = [long, `${long}${FILE_SUFFIX}`].find((other) => env[other]);
    if (longName !== undefined) layer.problems.push(`${longName} and ${name} are both set: keep one`);
    else if (path) layer.settings.push({ path, value: env[name], origin: name });
    else if (filePath && env[fileOf]) layer.problems.push(`${fileOf} and ${name} are both set: keep one`);
    else if (filePath) readValueFile(layer, filePath, name, resolve(cwd, env[name]!));
    else if (!KUBERNETES.test(name))
      layer.problems.push(`${name}: unknown variable${suggest(name, variablesLike(name))}`);
  }
  return layer;
}

function readValueFile(layer: Layer, path: string, origin: string, file: string): void {
  try {
    layer.settings.push({ path, value: readText(file, MAX_VALUE_BYTES).replace(/\r?\n$/, ''), origin });
  } catch (error) {
    layer.problems.push(`${origin}: its file: ${whyUnread(error)}`);
  }
}

/**
 * Throws EFBIG for more than `maxBytes`, such as a device that never ends, and an error with another code for bytes
 * that are not UTF-8.
 */
function readText(file: string, maxBytes: number): string {
  const descriptor = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (let read = 1; read > 0 && length < bytes.length; length += read) {
      read = readSync(descriptor, bytes, length, bytes.length - length, null);
    }
    if (length > maxBytes) throw Object.assign(new Error('too large'), { code: 'EFBIG' });
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
  } finally {
    closeSync(descriptor);
  }
}

const UNREAD: Record<string, string> = {
  EFBIG: 'is too large',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'is no text in UTF-8',
};

function whyUnread(error: unknown): string {
  const { code = '' } = error as NodeJS.ErrnoException;
  return UNREAD[code] ?? inWords(error as NodeJS.ErrnoException) ?? `cannot be read (${code})`;
}

const upperSnake = (key: string) => key.replace(/[A-Z]/g, '_$&').toUpperCase();
const inVariable = (path: string) => path.split('.').map(upperSnake).join('_');
/** Returns the variable of a path: IMAGE_STORAGE_LIMITS_MAX_SAVES for `limits.maxSaves`. */
export const variableOf = (path: string) => PREFIX + inVariable(path);

/** As `--base-path` says it. */
const SHORT_NAMES = new Map([[`${PREFIX}BASE_PATH`, 'providers.local.basePath']]);
const PATH_OF_VARIABLE = new Map([...SETTINGS.keys()].map((path) => [variableOf(path), path]));
const KEY_OF_VARIABLE = new Map(PROVIDER_KEYS.map((key) => [inVariable(key), key]));
const POLICY_KEYS = [...POLICY_SETTINGS.keys()];
const POLICY_KEY_OF_VARIABLE = new Map(POLICY_KEYS.map((key) => [inVariable(key), key]));
const PROVIDER_VARIABLE = /^IMAGE_STORAGE_PROVIDERS_([A-Z][A-Z0-9]*)_(\w+)$/;
const POLICY_VARIABLE = /^IMAGE_STORAGE_RETENTION_([A-Z][A-Z0-9]*)_(\w+)$/;

function pathOfVariable(name: string): string | undefined {
  const [, provider, variable = ''] = PROVIDER_VARIABLE.exec(name) ?? [];
  const key = KEY_OF_VARIABLE.get(variable);
  if (provider && key) return `providers.${provider.toLowerCase()}.${key}`;
  const [, policy, ofPolicy = ''] = POLICY_VARIABLE.exec(name) ?? [];
  const policyKey = POLICY_KEY_OF_VARIABLE.get(ofPolicy);
  return policy && policyKey
    ? `retention.${policy.toLowerCase()}.${policyKey}`
    : (PATH_OF_VARIABLE.get(name) ?? SHORT_NAMES.get(name));
}

function variablesLike(name: string): string[] {
  const provider = PROVIDER_VARIABLE.exec(name)?.[1]?.toLowerCase();
  const policy = POLICY_VARIABLE.exec(name)?.[1]?.toLowerCase();
  const paths = knownPaths(['providers', provider ?? 'local'], ['retention', policy ?? 'name']);
  return [...SHORT_NAMES.keys(), ...paths.map(variableOf)];
}

/** Returns every path that can be set; of providers and policies, those of the ones that the keys begin with. */
function knownPaths(...around: (readonly string[])[]): string[] {
  const nameIn = (root: string) => around.find(([first]) => first === root)?.[1];
  const [provider, policy] = [nameIn('providers') ?? 'local', nameIn('retention')];
  return [
    ...SETTINGS.keys(),
    ...PROVIDER_KEYS.map((key) => `providers.${provider}.${key}`),
    ...(policy === undefined ? [] : POLICY_KEYS.map((key) => `retention.${policy}.${key}`)),
  ];
}

/** Reads a YAML file. Reports only place and code of a syntax error: the parser's message may quote a secret. */
export function readFile(file: string, cwd: string): Layer {
  const lineCounter = new LineCounter();
  try {
    const document = parseDocument(readText(resolve(cwd, file), MAX_FILE_BYTES), { lineCounter, prettyErrors: false });
    const [error] = document.errors;
    if (!error) return settingsOf(document, file, lineCounter);
    const { line } = lineCounter.linePos(error.pos[0]);
    return failed(`${file}:${line}: not valid YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return failed(`${file}: ${code ? whyUnread(error) : 'not valid YAML (an alias that leads to nothing)'}`);
  }
}

const failed = (problem: string): Layer => ({ settings: [], problems: [problem] });

function settingsOf(document: Document, file: string, lineCounter: LineCounter): Layer {
  const root: unknown = document.toJS() ?? {};
  if (!isMapping(root)) return failed(`${file}: must be a mapping of settings`);
  const layer: Layer = { settings: [], problems: [] };
  for (const [keys, value] of leavesOf(root)) {
    const path = shownPath(keys);
    const origin = `${file}:${lineOf(document, keys, lineCounter)}`;
    const problem = problemOf(keys, value);
    if (problem) layer.problems.push(`${path} (${origin}): ${problem}`);
    else if (!isNothing(value)) layer.settings.push({ path, value, origin });
  }
  return layer;
}

/** Returns the path for messages, without a value that became part of a key, or a key below one. */
function shownPath(keys: string[]): string {
  const parts = keys.flatMap((key) => (KEY.test(key) ? key.split('.') : '…'));
  const setting = settingAround(parts);
  return setting === undefined ? parts.join('.') : `${setting}.…`;
}

/** Returns the setting that these keys nest below, or undefined. */
function settingAround(keys: string[]): string | undefined {
  const known = knownPaths(keys);
  const paths = keys.slice(0, -1).map((_, last) => keys.slice(0, last + 1).join('.'));
  return paths.find((path) => known.includes(path));
}

/** Returns the line of the value or, where it has none of its own (`local:`, an alias), of the node around it. */
function lineOf(document: Document, keys: string[], lineCounter: LineCounter): number {
  for (let depth = keys.length; depth > 0; depth -= 1) {
    const node = document.getIn(keys.slice(0, depth), true);
    if (isNode(node) && node.range) return lineCounter.linePos(node.range[0]).line;
  }
  return 1;
}

function* leavesOf(value: unknown, keys: string[] = []): Generator<[keys: string[], value: unknown]> {
  const children = Object.entries(isMapping(value) ? value : {});
  for (const [key, child] of children) yield* leavesOf(child, [...keys, key]);
  if (children.length > 0 || keys.length === 0) return;
  const isProvider = keys[0] === 'providers' && keys.length === 2;
  // `local:` with nothing below it is a provider with defaults; any other empty value counts as not set.
  if (isProvider && isNothing(value)) yield [[...keys, 'type'], keys[1]];
  else yield [keys, value];
}

/** Returns whether a leaf is empty: `key:` or `key: {}`. */
function isNothing(value: unknown): boolean {
  return value === null || isMapping(value);
}

function isMapping(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function problemOf(keys: string[], value: unknown): string | undefined {
  if (!keys.every((key) => KEY.test(key))) return 'no name of a setting: behind that come a colon and a space';
  if (keys.some((key) => key.includes('.'))) return 'must be nested, one key a level';
  const path = keys.join('.');
  const [root, name] = keys;
  const known = knownPaths(keys);
  if (root === 'providers' && name !== undefined && !PROVIDER_NAME.test(name))
    return 'a provider is named by lower-case letters and digits';
  if (root === 'retention' && name !== undefined && !POLICY_NAME.test(name)) return POLICY_NAMED;
  // Like any other without a rule: it must not be there for nothing.
  if (root === 'retention' && keys.length === 2 && isNothing(value)) return `keepWithin ${WITHOUT_RULE}`;
  if (path === 'retention') return isNothing(value) ? undefined : 'must be a mapping of policies by their names';
  if (known.includes(path)) return undefined;
  if (settingAround(keys) !== undefined) return 'must be one value, with nothing below it';
  if (known.some((other) => other.startsWith(`${path}.`)))
    return isNothing(value) ? undefined : 'must be a mapping of the keys below it';
  return `unknown${suggest(path, known)}`;
}

function suggest(name: string, known: readonly string[]): string {
  const guess = nearest(name, known);
  return guess === undefined ? '' : `; did you mean ${guess}?`;
}
