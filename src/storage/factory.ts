/** Maps the types of a configuration to providers. A new provider adds one line. */
import type { ProviderConfig } from './domain/config.ts';
import { localStorage } from './providers/local-storage.ts';
import { memoryStorageType } from './providers/memory-storage.ts';
import type { ProviderType } from './providers/provider-type.ts';
import { s3Provider } from './providers/s3-provider.ts';
import type { ProviderContext, StorageProvider } from './types.ts';

export const PROVIDER_TYPES: ProviderType[] = [localStorage, s3Provider, memoryStorageType];

/** Returns the provider type of that name, or undefined. Does not resolve aliases. */
export function providerTypeOf({ type }: Pick<ProviderConfig, 'type'>): ProviderType | undefined {
  return PROVIDER_TYPES.find((candidate) => candidate.type === type);
}

/** Opens the provider of this configuration. Rejects with a StoreOpenError that says what to change. */
export function openProvider(config: ProviderConfig, context: ProviderContext): Promise<StorageProvider> {
  return providerTypeOf(config)!.open(config, context);
}
