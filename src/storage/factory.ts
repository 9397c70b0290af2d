/** Which provider a type names. A new one is one more line. */
import type { ProviderConfig } from './domain/config.ts';
import { localStorage } from './providers/local-storage.ts';
import { memoryStorageType } from './providers/memory-storage.ts';
import type { ProviderType } from './providers/provider-type.ts';
import { s3Provider } from './providers/s3-provider.ts';
import type { ProviderContext, StorageProvider } from './types.ts';

export const PROVIDER_TYPES: ProviderType[] = [localStorage, s3Provider, memoryStorageType];

/** Undefined where there is none of that name; an alias is none. */
export function providerTypeOf({ type }: Pick<ProviderConfig, 'type'>): ProviderType | undefined {
  return PROVIDER_TYPES.find((candidate) => candidate.type === type);
}

/** Opens the provider of that configuration. Rejects with a StoreOpenError that says what to change. */
export function openProvider(config: ProviderConfig, context: ProviderContext): Promise<StorageProvider> {
  return providerTypeOf(config)!.open(config, context);
}
