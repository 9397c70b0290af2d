/** Proves, on every provider of a configuration, what a daemon will need; takes no lock and may run beside one. */

import type { ProviderConfig, StorageConfig } from '../domain/config.ts';
import { StorageError } from '../domain/errors.ts';
import { withDefaults, withoutAlias } from '../settings.ts';
import type { ExaminedBucket } from './bucket.ts';
import type { Check } from './check.ts';

export interface ProviderCheck extends Check {
  provider: string;
}

/**
 * Yields the checks as they end. What is written to find out is removed again, also when the caller stops early.
 * Throws PROVIDER_NOT_FOUND, or a StoreOpenError `config`.
 */
export async function* examine(config: StorageConfig, provider?: string): AsyncGenerator<ProviderCheck> {
  const { providers, limits } = withDefaults(config);
  const chosen = provider === undefined ? [...providers.keys()] : [withoutAlias(provider)];
  for (const name of chosen) {
    const settings = providers.get(name);
    if (settings === undefined) throw new StorageError('PROVIDER_NOT_FOUND', `no provider is named "${name}"`);
    for await (const check of checksOf(settings, name, limits.maxImageBytes)) yield { provider: name, ...check };
  }
}

async function* checksOf(config: ProviderConfig, name: string, maxImageBytes: number): AsyncGenerator<Check> {
  if (config.type === 'local') {
    yield* (await import('./local.ts')).examineLocal(config, maxImageBytes);
    return;
  }
  const { examineState } = await import('./state-folder.ts');
  const boundId = yield* examineState(config, name, maxImageBytes);
  const { examineBucket } = await import('./bucket.ts');
  yield* examineBucket(await examinedBucket(config), boundId);
}

async function examinedBucket(config: Exclude<ProviderConfig, { type: 'local' }>): Promise<ExaminedBucket> {
  if (config.type === 's3') return (await import('./s3.ts')).examinedS3(config);
  return { objects: (await import('../providers/memory-storage.ts')).memoryObjects(config.bucket) };
}
