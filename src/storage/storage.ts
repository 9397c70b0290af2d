/** The facade: all providers of a configuration behind one door, chosen by name, merged where all are meant. */
import { checkCleanup, sumOf } from './cleanup.ts';
import { resolveInstant, resolveRange } from './dates.ts';
import { invalidField, StorageError, toStorageError } from './errors.ts';
import { openProvider } from './factory.ts';
import { createListing } from './listing.ts';
import { shortId } from './naming.ts';
import { type Settings, withDefaults, withoutAlias } from './settings.ts';
import type {
  CleanupOptions,
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
  const some = (name?: string): StorageProvider[] => (name === ALL ? [...providers.values()] : [one(name)]);
  const sourcesOf = (options: ListOptions<Instant> & ProviderChoice): ListSource[] => {
    const { dateRange, ...rest } = options;
    const resolved = { ...rest, ...(dateRange && { dateRange: resolveRange(dateRange, new Date(now())) }) };
    const sources = some(options.provider).flatMap((provider) => provider.list(resolved).sources());
    return options.provider === ALL ? sources.map(naming) : sources;
  };
  const cleanUp = async (options: CleanupOptions & ProviderChoice) => {
    checkCleanup(options);
    const meant = some(options.provider);
    if (options.provider !== ALL) return meant[0]!.cleanup(options);
    await Promise.all(meant.map(checkServing));
    const results = [];
    for (const provider of meant) results.push(await named(provider.name, provider.cleanup(options)));
    return results.reduce(sumOf);
  };
  return {
    save: async (source, metadata, options) => one(options?.provider).save(source, metadata, options),
    get: async (filename, options) => one(options?.provider).get(filename, options),
    delete: async (filename, options) => one(options?.provider).delete(filename),
    list: (options = {}) => createListing(() => sourcesOf(options), options),
    async cleanup({ olderThan, ...rest }) {
      if (olderThan === undefined) return cleanUp(rest);
      return cleanUp({ ...rest, olderThan: resolveInstant('older_than', olderThan, new Date(now())) });
    },
    async getStatistics(choice) {
      if (choice !== ALL) return [await one(choice).getStatistics()];
      return Promise.all(some(choice).map((provider) => named(provider.name, provider.getStatistics())));
    },
    health: () => Object.fromEntries([...providers].map(([name, provider]) => [name, provider.health])),
    close: () => closeAll(providers),
  };
}

/** Rejects, naming the provider, unless it can list and delete. */
async function checkServing({ name, health, ...provider }: StorageProvider): Promise<void> {
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
    const { code, reason, message, retryAfterMs } = toStorageError(cause);
    if (code === 'cancelled') throw cause;
    const shown = code === 'unavailable' ? reason : 'BACKEND_UNAVAILABLE';
    throw new StorageError(shown, `the provider ${provider} is down: ${message}`, { cause, retryAfterMs });
  }
}

async function closeAll(providers: Map<string, StorageProvider>): Promise<void> {
  await Promise.all([...providers.values()].map((provider) => provider.close()));
}
