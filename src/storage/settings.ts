/** Completes the configuration of a storage as its user writes it: fills in defaults, and checks names and folders. */
import { resolve, sep } from 'node:path';
import type * as z from 'zod';
import {
  type AnyProviderConfig,
  DEFAULT_LIMITS,
  DEFAULT_PROVIDERS,
  type PolicySettings,
  type ProviderConfig,
  type ProviderSettings,
  type StorageConfig,
  type StorageLimits,
} from './domain/config.ts';
import { StoreOpenError } from './domain/errors.ts';
import { POLICY_NAME, POLICY_NAMED, type Policy, policyOf, policySettings } from './domain/policy.ts';
import { PROVIDER_TYPES, providerTypeOf } from './factory.ts';

export interface Settings {
  defaultProvider: string;
  providers: ReadonlyMap<string, ProviderConfig>;
  publicUrl: string;
  limits: StorageLimits;
  /** With the provider of each, or `*`. */
  policies: readonly (Policy & { provider: string })[];
}

/** Thrown for a setting with which no store can be opened. */
export class SettingError extends StoreOpenError {
  /** The path of the setting, such as `providers.archive.basePath`. */
  readonly key: string;
  readonly problem: string;

  constructor(key: string, problem: string) {
    super('config', `${key}: ${problem}`);
    this.key = key;
    this.problem = problem;
  }
}

const NAME = /^[a-z][a-z0-9]*$/;
const ALL = '*';

/** Returns the name that an alias stands for, or the name itself. */
export function withoutAlias(name: string): string {
  return PROVIDER_TYPES.find(({ alias }) => alias === name)?.type ?? name;
}

/** Returns the complete settings, with absolute folders. Throws a SettingError that names the key at fault. */
export function withDefaults(config: StorageConfig): Settings {
  const { providers, publicUrl = '', limits, retention = {} } = config;
  const checked = new Map<string, ProviderConfig>();
  for (const [key, settings] of Object.entries(providers ?? DEFAULT_PROVIDERS)) {
    const name = withoutAlias(key);
    if (!NAME.test(name)) throw refused(`providers.${key}`, 'a name is lower-case letters and digits, a letter first');
    if (checked.has(name)) throw refused('providers', 'project is another name of local: keep one of the two');
    checked.set(name, checkProvider(`providers.${key}`, name, settings));
  }
  checkFolders(checked);
  checkRoots(checked);
  const defaultProvider = defaultProviderOf(config.defaultProvider, [...checked.keys()]);
  return {
    defaultProvider,
    providers: checked,
    publicUrl,
    limits: { ...DEFAULT_LIMITS, ...limits },
    policies: Object.entries(retention).map(([name, policy]) => checkPolicy(name, policy, defaultProvider, checked)),
  };
}

function checkPolicy(
  name: string,
  given: PolicySettings,
  defaultProvider: string,
  providers: ReadonlyMap<string, unknown>,
): Policy & { provider: string } {
  const path = `retention.${name}`;
  if (!POLICY_NAME.test(name)) throw refused(path, POLICY_NAMED);
  const policy = policyOf(name, parsed(path, policySettings, given, 'unknown for a policy') as PolicySettings);
  const provider = policy.provider === undefined ? defaultProvider : withoutAlias(policy.provider);
  if (provider === ALL || providers.has(provider)) return { ...policy, provider };
  throw refused(
    `${path}.provider`,
    `no provider is named "${provider}"; configured: ${[...providers.keys()].join(', ')}`,
  );
}

/**
 * Returns the given provider, or `fallbackOf` the names when none is given. Throws a SettingError when it is not
 * configured.
 */
export function defaultProviderOf(given: string | undefined, names: readonly string[]): string {
  const name = given === undefined ? fallbackOf(names) : withoutAlias(given);
  if (name !== undefined && names.includes(name)) return name;
  if (names.length === 0) throw refused('providers', 'name at least one');
  const problem = given === undefined ? 'must be set' : `no provider is named "${given}"`;
  throw refused('defaultProvider', `${problem}; configured: ${names.join(', ')}`);
}

/**
 * Returns the default of a configuration that chooses none: the only provider, or `local`; undefined without either.
 */
export function fallbackOf(names: readonly string[]): string | undefined {
  return names.length === 1 ? names[0] : names.find((name) => name === 'local');
}

function checkProvider(path: string, name: string, given: ProviderSettings): ProviderConfig {
  if (typeof given !== 'object' || given === null) throw refused(path, 'must be an object');
  const type = withoutAlias(given.type ?? name);
  const provider = providerTypeOf({ type });
  if (provider === undefined) {
    const known = PROVIDER_TYPES.map((candidate) => candidate.type).join(', ');
    throw refused(`${path}.type`, `"${type}" is no type of provider; there are ${known}`);
  }
  const data = parsed(path, provider.settings, { ...given, type }, 'unknown for a provider of this type');
  return withAbsoluteFolder(data as unknown as ProviderConfig, process.cwd());
}

/** Throws a SettingError for the first problem. */
function parsed(path: string, settings: z.ZodObject, given: object, unknown: string): object {
  const { data, error } = settings.safeParse(given);
  const [issue] = error?.issues ?? [];
  if (issue?.code === 'unrecognized_keys') throw refused([path, ...issue.path, issue.keys[0]].join('.'), unknown);
  if (issue !== undefined) throw refused([path, ...issue.path].join('.'), issue.message);
  return data as object;
}

/** Resolves a relative folder against `cwd`. */
export function withAbsoluteFolder(config: ProviderConfig, cwd: string): ProviderConfig {
  return { ...config, [providerTypeOf(config)!.folder]: resolve(cwd, folderOf(config)) };
}

function folderOf(config: ProviderConfig): string {
  return (config as AnyProviderConfig)[providerTypeOf(config)!.folder] as string;
}

/** Refuses a folder inside one that another provider owns: `verify --repair` would quarantine its files as foreign. */
function checkFolders(providers: ReadonlyMap<string, ProviderConfig>): void {
  for (const [owner, config] of providers) {
    const own = providerTypeOf(config)!.ownFolders?.(folderOf(config)) ?? [];
    for (const [name, other] of providers) {
      const folder = folderOf(other);
      const around = own.find((root) => isWithin(resolve(folder), root));
      const key = `providers.${name}.${providerTypeOf(other)!.folder}`;
      if (around) throw refused(key, `${folder} lies in ${around}, which ${owner} has to itself`);
    }
  }
}

function isWithin(folder: string, root: string): boolean {
  return folder === root || folder.startsWith(root + sep);
}

/** Refuses two providers with one root unless both are shared: each would list images that the other has deleted. */
function checkRoots(providers: ReadonlyMap<string, ProviderConfig>): void {
  const owners = new Map<string, { owner: string; isShared: boolean }>();
  for (const [name, config] of providers) {
    const root = providerTypeOf(config)!.root?.(config);
    if (root === undefined) continue;
    const { place, kind, shared, setting } = root;
    const first = owners.get(place);
    if (first === undefined) owners.set(place, { owner: name, isShared: shared ?? false });
    else if (!first.isShared || !shared) {
      const advice = shared === undefined ? '' : '; use another prefix, or set shared: true for both';
      throw refused(`providers.${name}.${setting}`, `${place} is the ${kind} of ${first.owner} already${advice}`);
    }
  }
}

function refused(key: string, problem: string): SettingError {
  return new SettingError(key, problem);
}
