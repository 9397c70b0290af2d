/** Which provider a type names; each is loaded on first use. */
import type { ProviderConfig } from './domain/config.ts';
import type { ProviderContext, StorageProvider } from './types.ts';

type OpenProvider<C extends ProviderConfig> = (config: C, context: ProviderContext) => Promise<StorageProvider>;

const PROVIDERS: { [T in ProviderConfig['type']]: () => Promise<OpenProvider<Extract<ProviderConfig, { type: T }>>> } =
  {
    local: async () => (await import('./providers/local-storage.ts')).openLocalStorage,
    s3: async () => (await import('./providers/s3-provider.ts')).openS3Storage,
    memory: async () => (await import('./providers/memory-storage.ts')).openMemoryStorage,
  };

/** What `type` of a provider may say. */
export const PROVIDER_TYPES: readonly string[] = Object.keys(PROVIDERS);

/** Opens the provider of that configuration. Rejects with a StoreOpenError that says what to change. */
export async function openProvider(config: ProviderConfig, context: ProviderContext): Promise<StorageProvider> {
  const open = (await PROVIDERS[config.type]()) as OpenProvider<ProviderConfig>;
  return open(config, context);
}
