/** The configuration of a storage as its user writes it, made whole: defaults filled in, names and folders checked. */
import { resolve } from 'node:path';
import { StoreOpenError } from './errors.ts';
import { PROVIDER_TYPES } from './factory.ts';
import {
  DEFAULT_LIMITS,
  type ProviderConfig,
  type ProviderSettings,
  type S3Config,
  type StorageConfig,
  type StorageLimits,
} from './types.ts';

export interface Settings {
  defaultProvider: string;
  providers: ReadonlyMap<string, ProviderConfig>;
  publicUrl: string;
  limits: StorageLimits;
}

const NAME = /^[a-z][a-z0-9]*$/;

/** `project` is the other name of `local`. */
export function withoutAlias(name: string): string {
  return name === 'project' ? 'local' : name;
}

/** Throws a StoreOpenError of the kind `config` that names the key at fault. Folders in the result are absolute. */
export function withDefaults({ defaultProvider, providers, publicUrl = '', limits }: StorageConfig): Settings {
  const checked = new Map<string, ProviderConfig>();
  for (const [key, settings] of Object.entries(providers ?? { local: {} })) {
    const name = withoutAlias(key);
    if (!NAME.test(name)) throw refused(`providers.${key}`, 'a name is lower-case letters and digits, a letter first');
    if (checked.has(name)) throw refused('providers', 'project is another name of local: keep one of the two');
    checked.set(name, checkProvider(`providers.${key}`, name, settings));
  }
  checkFolders(checked);
  return {
    defaultProvider: checkDefault(defaultProvider, [...checked.keys()]),
    providers: checked,
    publicUrl,
    limits: { ...DEFAULT_LIMITS, ...limits },
  };
}

function checkProvider(path: string, name: string, settings: ProviderSettings): ProviderConfig {
  if (typeof settings !== 'object' || settings === null) throw refused(path, 'must be an object');
  const type = withoutAlias(settings.type ?? name);
  if (!PROVIDER_TYPES.includes(type)) {
    throw refused(`${path}.type`, `"${type}" is no type of provider; there are ${PROVIDER_TYPES.join(', ')}`);
  }
  const config = { ...settings, type } as ProviderConfig;
  if (config.type === 's3') checkS3(path, config);
  if (config.type !== 'local') return config;
  const { basePath = './outputs' } = config;
  if (typeof basePath !== 'string' || basePath === '') throw refused(`${path}.basePath`, 'must be a folder');
  return { ...config, basePath: resolve(basePath) };
}

function checkS3(path: string, config: Partial<S3Config>): void {
  for (const key of ['bucket', 'region'] as const) {
    if (typeof config[key] !== 'string' || config[key] === '') throw refused(`${path}.${key}`, 'must be set');
  }
  // One alone would silently give way to whatever credentials the SDK finds.
  for (const [key, other] of [
    ['accessKey', 'secretKey'],
    ['secretKey', 'accessKey'],
  ] as const) {
    if (config[other] && !config[key]) throw refused(`${path}.${key}`, `must be set, too, where ${other} is`);
  }
}

function checkFolders(providers: ReadonlyMap<string, ProviderConfig>): void {
  const owners = new Map<string, string>();
  for (const [name, config] of providers) {
    if (config.type !== 'local') continue;
    const owner = owners.get(config.basePath);
    if (owner) throw refused(`providers.${name}.basePath`, `${config.basePath} is the folder of ${owner} already`);
    owners.set(config.basePath, name);
  }
}

function checkDefault(given: string | undefined, names: readonly string[]): string {
  const fallback = names.length === 1 ? names[0] : 'local';
  const name = withoutAlias(given ?? fallback ?? 'local');
  if (names.includes(name)) return name;
  if (names.length === 0) throw refused('providers', 'name at least one');
  const problem = given === undefined ? 'must be set' : `no provider is named "${given}"`;
  throw refused('defaultProvider', `${problem}; configured: ${names.join(', ')}`);
}

function refused(key: string, problem: string): StoreOpenError {
  return new StoreOpenError('config', `${key}: ${problem}`);
}
