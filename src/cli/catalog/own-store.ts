/** Opens the store of a stopped daemon for a command of the catalog. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config.ts';
import { StorageError } from '../../storage/domain/errors.ts';
import type { ProviderStatistics } from '../../storage/domain/requests.ts';
import type { ProviderContext, Storage } from '../../storage/types.ts';

const POLL_MS = 200;

/** Rejects with a StoreOpenError, for example when a daemon has the store. */
export async function openChosen(
  config: Config,
  options: Pick<ProviderContext, 'rebuildCatalog' | 'formatChange'>,
): Promise<Storage> {
  const [{ openStorage }, { createLogger }] = await Promise.all([
    import('../../storage/storage.ts'),
    import('../../logging.ts'),
  ]);
  // Nothing goes by itself meanwhile.
  return openStorage({ ...config, retention: {} }, { log: createLogger(config.log), ...options });
}

/** Returns the statistics once the catalog is complete: that of a bucket is filled in the background. */
export async function completeStatistics(storage: Storage): Promise<ProviderStatistics> {
  for (;;) {
    try {
      const [statistics] = await storage.getStatistics();
      return statistics!;
    } catch (error) {
      if (!(error instanceof StorageError) || error.reason !== 'CATALOG_REBUILDING') throw error;
      await sleep(POLL_MS);
    }
  }
}
