/** The facade: all providers of a configuration behind one door, chosen by name, merged where all are meant. */
import { checkCleanup, sumOf } from './cleanup.ts';
import { resolveInstant, resolveRange } from './dates.ts';
import { invalidField, StorageError, toStorageError } from './errors.ts';
import { openProvider } from './factory.ts';
import { createListing } from './listing.ts';
import { copyImages } from './maintenance/copy.ts';
import { inTurn } from './maintenance/verify.ts';
import { shortId } from './naming.ts';
import { type Settings, withDefaults, withoutAlias } from './settings.ts';
import type {
  CleanupOptions,
  CleanupResult,
  Instant,
  ListOptions,
  ListSource,
  Logger,
  ProviderChoice,
  ProviderContext,
  Storage,
  StorageConfig,
  StorageProvider,
} from './types.ts';

const ALL = '*';

/** What a storage takes from its surroundings; all of it has a default. */
export type StorageDependencies = Partial<Omit<ProviderContext, 'name' | 'publicUrl' | 'limits'>>;

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Opens every provider of the configuration. Rejects with a StoreOpenError, leaving none open. */
export async function createStorage(
  config: StorageConfig = {},
  dependencies: StorageDependencies = {},
): Promise<Storage> {
  const settings = withDefaults(config);
  const providers = new Map<string, StorageProvider>();
  try {
    for (const [name, provider] of settings.providers) {
      providers.set(name, await openProvider(provider, contextOf(name, settings, dependencies)));
    }
  } catch (error) {
    await closeAll(providers);
    throw error;
  }
  return facade(providers, settings.defaultProvider, dependencies.now ?? Date.now);
}

function contextOf(name: string, settings: Settings, dependencies: StorageDependencies): ProviderContext {
  return {
    name,
    publicUrl: settings.publicUrl,
    limits: settings.limits,
    log: SILENT,
    now: Date.now,
    shortId,
    onFatal: () => undefined,
    failpoint: () => undefined,
    ...dependencies,
  };
}

function facade(providers: Map<string, StorageProvider>, defaultProvider: string, now: () => number): Storage {
  const one = (name = ''): StorageProvider => {
    if (name === ALL) throw invalidField('provider', 'one image is meant, name one provider');
    const provider = providers.get(name === '' ? defaultProvider : withoutAlias(name));
    if (provider === undefined)
      throw new StorageError('PROVIDER_NOT_FOUND', 'no provider of that name', { field: 'provider' });
    return provider;
  };
  const sourcesOf = (options: ListOptions<Instant> & ProviderChoice): ListSource[] => {
    const dateRange = options.dateRange && resolveRange(options.dateRange, new Date(now()));
    const sourcesIn = (provider: StorageProvider) => provider.list({ ...options, dateRange }).sources();
    if (options.provider !== ALL) return sourcesIn(one(options.provider));
    return [...providers.values()].flatMap(sourcesIn).map(naming);
  };
  return {
    save: async (source, metadata, options) => one(options?.provider).save(source, metadata, options),
    get: async (filename, options) => one(options?.provider).get(filename, options),
    delete: async (filename, options) => one(options?.provider).delete(filename),
    list: (options = {}) => createListing(() => sourcesOf(options), options),
    async cleanup({ olderThan: given, ...rest }) {
      const olderThan = given === undefined ? undefined : resolveInstant('older_than', given, new Date(now()));
      const options = { ...rest, olderThan };
      return rest.provider === ALL ? cleanUpAll([...providers.values()], options) : one(rest.provider).cleanup(options);
    },
    async getStatistics(choice) {
      if (choice !== ALL) return [await one(choice).getStatistics()];
      return Promise.all([...providers].map(([name, provider]) => named(name, provider.getStatistics())));
    },
    verify(options = {}) {
      const chosen = options.provider === ALL ? [...providers.values()] : [one(options.provider)];
      return inTurn(chosen.map((provider) => provider.verify(options)));
    },
    copy: ({ from, to, ...options }) => copyImages(one(from), one(to), options),
    health: () => Object.fromEntries([...providers].map(([name, provider]) => [name, provider.health])),
    close: () => closeAll(providers),
  };
}

async function cleanUpAll(providers: StorageProvider[], options: CleanupOptions): Promise<CleanupResult> {
  checkCleanup(options);
  await Promise.all(providers.map((provider) => named(provider.name, checkServing(provider))));
  const results: CleanupResult[] = [];
  for (const provider of providers) results.push(await named(provider.name, provider.cleanup(options)));
  return results.reduce(sumOf);
}

/** Rejects unless it can delete and knows all its images. */
async function checkServing(provider: StorageProvider): Promise<void> {
  const { health } = provider;
  if (!health.serving) throw new StorageError('BACKEND_UNAVAILABLE', health.why);
  await provider.getStatistics();
}

function naming(source: ListSource): ListSource {
  const { provider } = source;
  return { provider, read: (...request) => named(provider, source.read(...request)) };
}

/** Of several providers: the failure of one is UNAVAILABLE by its name. */
async function named<T>(provider: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const { code, reason, message, retryAfterMs, outcomeUnknown } = toStorageError(cause);
    if (code === 'cancelled') throw cause;
    const options = { cause, retryAfterMs, outcomeUnknown };
    throw new StorageError(code === 'unavailable' ? reason : 'BACKEND_UNAVAILABLE', `${provider}: ${message}`, options);
  }
}

async function closeAll(providers: Map<string, StorageProvider>): Promise<void> {
  await Promise.all([...providers.values()].map((provider) => provider.close()));
}
