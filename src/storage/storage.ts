/** The facade: all providers of a configuration behind one door, chosen by name, merged where all are meant. */
import { invalidField, StorageError } from './errors.ts';
import { openProvider } from './factory.ts';
import { createListing } from './listing.ts';
import { shortId } from './naming.ts';
import {
  type CleanupResult,
  DEFAULT_LIMITS,
  type Logger,
  type ProviderContext,
  type Storage,
  type StorageConfig,
  type StorageProvider,
} from './types.ts';

const ALL = '*';
const MAX_NAMED = 1_000;

/** What a storage takes from its surroundings; all of it has a default. */
export type StorageDependencies = Partial<Pick<ProviderContext, 'log' | 'now' | 'shortId' | 'onFatal' | 'failpoint'>>;

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Opens every provider of the configuration. Rejects with a StoreOpenError, leaving none open. */
export async function createStorage(config: StorageConfig, dependencies: StorageDependencies = {}): Promise<Storage> {
  const providers = new Map<string, StorageProvider>();
  try {
    for (const [name, settings] of Object.entries(config.providers)) {
      providers.set(name, await openProvider(settings, contextOf(name, config, dependencies)));
    }
  } catch (error) {
    await closeAll(providers);
    throw error;
  }
  return facade(providers, config.defaultProvider);
}

function contextOf(name: string, config: StorageConfig, dependencies: StorageDependencies): ProviderContext {
  return {
    name,
    publicUrl: config.publicUrl ?? '',
    limits: { ...DEFAULT_LIMITS, ...config.limits },
    log: SILENT,
    now: Date.now,
    shortId,
    onFatal: () => undefined,
    failpoint: () => undefined,
    ...dependencies,
  };
}

function facade(providers: Map<string, StorageProvider>, defaultProvider: string): Storage {
  const one = (name = ''): StorageProvider => {
    if (name === ALL) throw invalidField('provider', 'one image is meant, name one provider');
    const resolved = name === '' ? defaultProvider : name;
    const provider = providers.get(resolved === 'project' ? 'local' : resolved);
    if (provider === undefined)
      throw new StorageError('PROVIDER_NOT_FOUND', 'no provider of that name', { field: 'provider' });
    return provider;
  };
  const some = (name?: string): StorageProvider[] => (name === ALL ? [...providers.values()] : [one(name)]);
  return {
    save: async (source, metadata, options) => one(options?.provider).save(source, metadata, options),
    get: async (filename, options) => one(options?.provider).get(filename, options),
    delete: async (filename, options) => one(options?.provider).delete(filename),
    list: (options = {}) =>
      createListing(() => some(options.provider).flatMap((provider) => provider.list(options).sources()), options),
    async cleanup(options) {
      const results = [];
      for (const provider of some(options.provider)) results.push(await provider.cleanup(options));
      return results.reduce(sumOf);
    },
    getStatistics: async (provider) => Promise.all(some(provider).map((each) => each.getStatistics())),
    health: () => Object.fromEntries([...providers].map(([name, provider]) => [name, provider.health])),
    close: () => closeAll(providers),
  };
}

function sumOf(a: CleanupResult, b: CleanupResult): CleanupResult {
  return {
    deletedCount: a.deletedCount + b.deletedCount,
    freedBytes: a.freedBytes + b.freedBytes,
    filenames: [...a.filenames, ...b.filenames].slice(0, MAX_NAMED),
    keptPinned: a.keptPinned + b.keptPinned,
    dryRun: a.dryRun,
    more: a.more || b.more,
  };
}

async function closeAll(providers: Map<string, StorageProvider>): Promise<void> {
  await Promise.all([...providers.values()].map((provider) => provider.close()));
}
