/** The configuration: flags over variables over a YAML file over defaults, checked as a whole. */
import { resolve } from 'node:path';
import type * as z from 'zod';
import { isLocalAddress, parseAddress } from './address.ts';
import { type EffectiveSetting, effectiveSettings } from './config/effective.ts';
import {
  type Flags,
  type Layer,
  readEnvironment,
  readFile,
  readFlags,
  type Setting,
  variableOf,
} from './config/layers.ts';
import { ConfigError, type Environment } from './config/process.ts';
import { type Config, settings } from './config/schema.ts';
import { DEFAULT_PROVIDERS } from './storage/domain/config.ts';
import {
  withDefaults as asStorageTakesIt,
  defaultProviderOf,
  fallbackOf,
  SettingError,
  withAbsoluteFolder,
  withoutAlias,
} from './storage/settings.ts';

export type { Config, EffectiveSetting, Environment, Flags };
export { ConfigError };

export interface ConfigSources {
  flags?: Flags;
  /** Default: empty. `processEnvironment()` returns that of the process. */
  env?: Environment;
  /** The folder that relative paths start from; default: the working directory. */
  cwd?: string;
  /** A YAML file; default: the one that IMAGE_STORAGE_CONFIG names, else none. */
  configFile?: string;
}

/**
 * Returns the configuration, with absolute paths. Throws one ConfigError that names every bad or unknown key and its
 * origin.
 */
export function loadConfig(sources: ConfigSources): Config {
  return read(sources).config;
}

/** Returns each effective setting with its origin. Throws as `loadConfig` does. */
export function explainConfig(sources: ConfigSources): EffectiveSetting[] {
  const { config, given } = read(sources);
  return effectiveSettings(config, given);
}

function read({ flags = {}, env = {}, cwd = process.cwd(), configFile }: ConfigSources) {
  const file = configFile || env.IMAGE_STORAGE_CONFIG;
  const layers = [file ? readFile(file, cwd) : NOTHING, readEnvironment(env, cwd), readFlags(flags)];
  const given = new Map(layers.flatMap((layer) => layer.settings.map((setting) => [setting.path, setting])));
  const raw = withTypes(nested(given.values()));
  const checked = settings.safeParse(raw);
  const problems = [
    ...layers.flatMap((layer) => layer.problems),
    ...(checked.error?.issues ?? []).flatMap((issue) => describeIssue(issue, given)),
    ...crossCheck(raw, given),
  ];
  if (!checked.success || problems.length > 0) throw new ConfigError(problems);
  const config = withAbsolutePaths(checked.data as unknown as Config, cwd);
  // Problems between providers, such as two in one folder.
  const together = problemsOf(() => asStorageTakesIt(config), given);
  if (together.length > 0) throw new ConfigError(together);
  return { config, given };
}

/** Returns the problem that the check of the storage finds, with the origin of the setting; empty when it passes. */
function problemsOf(check: () => unknown, given: Given): string[] {
  try {
    check();
    return [];
  } catch (error) {
    if (error instanceof SettingError) return [problemAt(error.key, error.problem, given)];
    throw error;
  }
}

const NOTHING: Layer = { settings: [], problems: [] };
type Given = ReadonlyMap<string, Setting>;

interface Raw {
  providers: Record<string, Record<string, unknown>>;
  [key: string]: unknown;
}

/** Nests settings by their paths: `a.b` = 1 becomes { a: { b: 1 } }. */
function nested(given: Iterable<Setting>): Partial<Raw> {
  const root = Object.create(null);
  for (const { path, value } of given) {
    const keys = path.split('.');
    const last = keys.pop()!;
    let parent = root;
    for (const key of keys) parent = parent[key] ??= Object.create(null);
    parent[last] = value;
  }
  return root;
}

/** Applies what the schema cannot express: a provider's type defaults to its name, and aliases become types. */
function withTypes(raw: Partial<Raw>): Raw {
  const providers: Raw['providers'] = {};
  for (const [name, provider] of Object.entries(raw.providers ?? DEFAULT_PROVIDERS)) {
    providers[name] = { ...provider, type: known(provider.type ?? name) };
  }
  return { ...raw, providers, defaultProvider: known(raw.defaultProvider) ?? fallbackOf(Object.keys(providers)) };
}

const known = (name: unknown) => (typeof name === 'string' ? withoutAlias(name) : name);

function describeIssue(issue: z.core.$ZodIssue, given: Given): string[] {
  // The index in a list helps less than the flag or the variable.
  const path = issue.path.filter((key) => typeof key === 'string').join('.');
  if (issue.code !== 'unrecognized_keys') return [problemAt(path, issue.message, given)];
  const what = issue.path[0] === 'retention' ? 'a policy' : 'a provider of this type';
  return issue.keys.map((key) => problemAt(`${path}.${key}`, `unknown for ${what}`, given));
}

function problemAt(path: string, problem: string, given: Given): string {
  const origin = given.get(path)?.origin ?? whereItBelongs(path, given);
  return `${path}${origin ? ` (${origin})` : ''}: ${problem}`;
}

/**
 * Returns the place for a missing setting: the file of its siblings, or a variable of its own where theirs are
 * variables.
 */
function whereItBelongs(path: string, given: Given): string | undefined {
  const parent = path.slice(0, path.lastIndexOf('.') + 1);
  const sibling = [...given.values()].find((setting) => parent && setting.path.startsWith(parent));
  return sibling?.origin.startsWith(variableOf(parent)) ? variableOf(path) : sibling?.origin;
}

/** Returns the problems between keys that are valid by themselves. */
function crossCheck(raw: Raw, given: Given): string[] {
  const problems: string[] = [];
  const { providers, defaultProvider } = raw;
  if (providers.project) problems.push(problemAt('providers.project.type', REFUSED_ALIAS, given));
  if (typeof defaultProvider === 'string') {
    problems.push(...problemsOf(() => defaultProviderOf(defaultProvider, Object.keys(providers)), given));
  }
  problems.push(...tlsProblems(raw, given));
  for (const address of exposedAddresses(raw)) problems.push(problemAt('listen', `${address} ${EXPOSED}`, given));
  return problems;
}

const REFUSED_ALIAS = 'project is another name of local: use providers.local';
const EXPOSED =
  'can be reached from other machines, and nobody is asked who they are: ' +
  'name a file of tokens by auth.tokensFile (IMAGE_STORAGE_AUTH_TOKENS_FILE=PATH; image-storage token new prints its lines), ' +
  'listen on 127.0.0.1 or unix:PATH, or allow it by insecure: true (--insecure, IMAGE_STORAGE_INSECURE=true)';

/** Returns what does not go together in the settings of TLS. */
function tlsProblems(raw: Raw, given: Given): string[] {
  const { cert, key, clientCa } = { ...(raw.tls as Lock) };
  const problems: string[] = [];
  if (cert && !key) problems.push(problemAt('tls.key', 'must be set, for tls.cert', given));
  if (key && !cert) problems.push(problemAt('tls.cert', 'must be set, for tls.key', given));
  if (clientCa && !cert && !key) problems.push(problemAt('tls.cert', 'must be set, for tls.clientCa', given));
  return problems;
}

type Lock = Partial<Record<string, unknown>> | undefined;

/** Returns the addresses that other machines can reach, unless `insecure`, tokens or a client CA allow them; none where either is invalid. */
function exposedAddresses(raw: Raw): string[] {
  const { tokens, tokensFile, clientCa } = { ...(raw.auth as Lock), ...(raw.tls as Lock) };
  if (tokens || tokensFile || clientCa) return [];
  const insecure = settings.shape.insecure.safeParse(raw.insecure);
  if (!insecure.success || insecure.data) return [];
  const addresses = settings.shape.listen.safeParse(raw.listen).data ?? [];
  return addresses.filter((address) => !isLocalAddress(parseAddress(address)!));
}

function withAbsolutePaths(config: Config, cwd: string): Config {
  const providers = Object.entries(config.providers).map(([name, provider]) => [
    name,
    withAbsoluteFolder(provider, cwd),
  ]);
  const auth = { ...config.auth, tokensFile: absolute(config.auth.tokensFile, cwd) };
  const { cert, key, clientCa } = config.tls;
  const files = { cert: absolute(cert, cwd), key: absolute(key, cwd), clientCa: absolute(clientCa, cwd) };
  return { ...config, auth, tls: { ...config.tls, ...files }, providers: Object.fromEntries(providers) };
}

function absolute(path: string, cwd: string): string {
  return path === '' ? '' : resolve(cwd, path);
}
