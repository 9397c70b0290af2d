/** The configuration: flags over variables over a YAML file over defaults, checked as a whole. The only reader of the environment. */
import type * as z from 'zod';
import { ADDRESS_FORMS, DEFAULT_ADDRESS, isLocalAddress, parseAddress } from './address.ts';
import { type EffectiveSetting, effectiveSettings } from './config/effective.ts';
import {
  type Environment,
  type Flags,
  type Layer,
  readEnvironment,
  readFile,
  readFlags,
  type Setting,
  variableOf,
} from './config/layers.ts';
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

/** Everything that is wrong with a configuration; never a value that may be secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.length === 1 ? problems[0] : ['the configuration has several errors:', ...problems].join('\n  '));
    this.problems = problems;
  }
}

export interface ConfigSources {
  flags?: Flags;
  /** Default: empty. `processEnvironment()` is that of the process. */
  env?: Environment;
  /** What relative paths start from; default: the working directory. */
  cwd?: string;
  /** A YAML file; default: the one that IMAGE_STORAGE_CONFIG names, else none. */
  configFile?: string;
}

/** Variables of this process. */
export function processEnvironment(): Environment {
  return process.env;
}

/** Where somebody typed `npm run cli`, which npm leaves for the root of the checkout; elsewhere undefined. */
export function folderOfCaller(env: Environment = processEnvironment()): string | undefined {
  const isOurs = env.npm_package_name === 'image-storage' && env.npm_lifecycle_event === 'cli';
  return isOurs ? env.INIT_CWD : undefined;
}

/** The daemon that clients talk to unless told otherwise. Throws a ConfigError for what is no address. */
export function clientAddress(env: Environment = processEnvironment()): string {
  const address = env.IMAGE_STORAGE_ADDRESS || DEFAULT_ADDRESS;
  if (parseAddress(address)) return address;
  throw new ConfigError([`IMAGE_STORAGE_ADDRESS: "${address}" is no address: ${ADDRESS_FORMS}`]);
}

/** Throws one ConfigError that names every bad or unknown key and where it came from. Paths in the result are absolute. */
export function loadConfig(sources: ConfigSources): Config {
  return read(sources).config;
}

/** The same, setting by setting: what is in force and where it came from. Throws as `loadConfig` does. */
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
  // What is wrong between providers, such as two in one folder.
  const together = problemsOf(() => asStorageTakesIt(config), given);
  if (together.length > 0) throw new ConfigError(together);
  return { config, given };
}

/** What the check of the storage refuses, and where it was said. */
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

/** `a.b` = 1 becomes { a: { b: 1 } }. */
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

/** What the schema cannot say: the type of a provider is its name, and an alias stands for a type. */
function withTypes(raw: Partial<Raw>): Raw {
  const providers: Raw['providers'] = {};
  for (const [name, provider] of Object.entries(raw.providers ?? DEFAULT_PROVIDERS)) {
    providers[name] = { ...provider, type: known(provider.type ?? name) };
  }
  return { ...raw, providers, defaultProvider: known(raw.defaultProvider) ?? fallbackOf(Object.keys(providers)) };
}

const known = (name: unknown) => (typeof name === 'string' ? withoutAlias(name) : name);

function describeIssue(issue: z.core.$ZodIssue, given: Given): string[] {
  // The place in a list says less than its flag or variable.
  const path = issue.path.filter((key) => typeof key === 'string').join('.');
  if (issue.code !== 'unrecognized_keys') return [problemAt(path, issue.message, given)];
  return issue.keys.map((key) => problemAt(`${path}.${key}`, 'unknown for a provider of this type', given));
}

function problemAt(path: string, problem: string, given: Given): string {
  const origin = given.get(path)?.origin ?? whereItBelongs(path, given);
  return `${path}${origin ? ` (${origin})` : ''}: ${problem}`;
}

/** Beside what else was set of the provider: in the file, or in a variable of its own. */
function whereItBelongs(path: string, given: Given): string | undefined {
  const parent = path.slice(0, path.lastIndexOf('.') + 1);
  const sibling = [...given.values()].find((setting) => parent && setting.path.startsWith(parent));
  return sibling?.origin.startsWith(variableOf(parent)) ? variableOf(path) : sibling?.origin;
}

/** What is wrong between keys that are right by themselves. */
function crossCheck(raw: Raw, given: Given): string[] {
  const problems: string[] = [];
  const { providers, defaultProvider } = raw;
  if (providers.project) problems.push(problemAt('providers.project.type', REFUSED_ALIAS, given));
  if (typeof defaultProvider === 'string') {
    problems.push(...problemsOf(() => defaultProviderOf(defaultProvider, Object.keys(providers)), given));
  }
  for (const address of exposedAddresses(raw)) problems.push(problemAt('listen', `${address} ${EXPOSED}`, given));
  return problems;
}

const REFUSED_ALIAS = 'project is another name of local: use providers.local';
const EXPOSED =
  'can be reached from other machines, and nobody is asked who they are: ' +
  'listen on 127.0.0.1 or unix:PATH, or allow it by insecure: true (--insecure, IMAGE_STORAGE_INSECURE=true)';

/** Without those whose check failed for another reason. */
function exposedAddresses(raw: Raw): string[] {
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
  return { ...config, providers: Object.fromEntries(providers) };
}
