/** The configuration of a storage as its user writes it, made whole: defaults filled in, names and folders checked. */
import { resolve, sep } from 'node:path';
import {
  DEFAULT_LIMITS,
  type ProviderConfig,
  type ProviderSettings,
  type S3Config,
  type StorageConfig,
  type StorageLimits,
} from './domain/config.ts';
import { StoreOpenError } from './domain/errors.ts';
import { PROVIDER_TYPES } from './factory.ts';
import { Layout } from './local/layout.ts';

export interface Settings {
  defaultProvider: string;
  providers: ReadonlyMap<string, ProviderConfig>;
  publicUrl: string;
  limits: StorageLimits;
}

/** A setting that no store can be opened with. */
export class SettingError extends StoreOpenError {
  /** `providers.archive.basePath` */
  readonly key: string;
  readonly problem: string;

  constructor(key: string, problem: string) {
    super('config', `${key}: ${problem}`);
    this.key = key;
    this.problem = problem;
  }
}

const NAME = /^[a-z][a-z0-9]*$/;

/** `project` is the other name of `local`. */
export function withoutAlias(name: string): string {
  return name === 'project' ? 'local' : name;
}

/** Throws a SettingError that names the key at fault. Folders in the result are absolute. */
export function withDefaults({ defaultProvider, providers, publicUrl = '', limits }: StorageConfig): Settings {
  const checked = new Map<string, ProviderConfig>();
  for (const [key, settings] of Object.entries(providers ?? { local: {} })) {
    const name = withoutAlias(key);
    if (!NAME.test(name)) throw refused(`providers.${key}`, 'a name is lower-case letters and digits, a letter first');
    if (checked.has(name)) throw refused('providers', 'project is another name of local: keep one of the two');
    checked.set(name, checkProvider(`providers.${key}`, name, settings));
  }
  checkFolders(checked);
  checkBuckets(checked);
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
  for (const [owner, config] of providers) {
    if (config.type === 'local') checkApart(new Layout(config.basePath), owner, providers);
  }
}

/** `verify --repair` would take the files of another for strays, and move them away. */
function checkApart({ images, records }: Layout, owner: string, providers: ReadonlyMap<string, ProviderConfig>): void {
  for (const [name, config] of providers) {
    const key = config.type === 'local' ? 'basePath' : 'stateDir';
    const folder = config.type === 'local' ? config.basePath : config.stateDir;
    const around = folder && [images, records].find((root) => isWithin(resolve(folder), root));
    if (around) throw refused(`providers.${name}.${key}`, `${folder} lies in ${around}, which ${owner} has to itself`);
  }
}

function isWithin(folder: string, root: string): boolean {
  return folder === root || folder.startsWith(root + sep);
}

/** Each of two in one bucket would list what the other has deleted, unless both follow it. */
function checkBuckets(providers: ReadonlyMap<string, ProviderConfig>): void {
  const owners = new Map<string, { owner: string; first: S3Config }>();
  for (const [name, config] of providers) {
    if (config.type !== 's3') continue;
    const place = placeOf(config);
    const { owner, first } = owners.get(place) ?? { owner: name, first: config };
    owners.set(place, { owner, first });
    if (owner === name || (first.shared && config.shared)) continue;
    const advice = 'use another prefix, or set shared: true for both';
    throw refused(`providers.${name}.bucket`, `${place} is the store of ${owner} already; ${advice}`);
  }
}

function placeOf({ bucket, prefix = '', endpoint = '' }: S3Config): string {
  const where = (URL.parse(endpoint)?.href ?? endpoint).replace(/\/+$/, '');
  return `s3://${bucket}/${prefix.replace(/^\/+|\/+$/g, '')}${where === '' ? '' : ` at ${where}`}`;
}

function checkDefault(given: string | undefined, names: readonly string[]): string {
  const fallback = names.length === 1 ? names[0] : 'local';
  const name = withoutAlias(given ?? fallback ?? 'local');
  if (names.includes(name)) return name;
  if (names.length === 0) throw refused('providers', 'name at least one');
  const problem = given === undefined ? 'must be set' : `no provider is named "${given}"`;
  throw refused('defaultProvider', `${problem}; configured: ${names.join(', ')}`);
}

function refused(key: string, problem: string): SettingError {
  return new SettingError(key, problem);
}
