/** `image-storage catalog rebuild`: builds the catalog of a stopped daemon again from the records. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { type Config, loadConfig, processEnvironment } from '../config.ts';
import { StorageError } from '../storage/domain/errors.ts';
import type { Storage } from '../storage/types.ts';
import { EXISTING } from './shared/own-daemon.ts';
import { changeProviders, providerNamed } from './shared/settings.ts';
import { countOf, formatBytes, printLine } from './terminal/text.ts';

interface RebuildFlags {
  config?: string;
  provider?: string;
}

const POLL_MS = 200;

export function registerCatalog(program: Command): void {
  const catalog = program.command('catalog').description('the index over the images of a provider');
  const command = catalog
    .command('rebuild')
    .description('build it again from the records, while no daemon runs; the old one is kept beside it')
    .option('--provider <name>', 'default: the default provider')
    .option('--config <file>', 'a YAML file (default: IMAGE_STORAGE_CONFIG)')
    .action(async ({ config: configFile, provider }: RebuildFlags) => {
      const config = loadConfig({ env: processEnvironment(), configFile });
      const name = providerNamed(command, config, provider ?? config.defaultProvider);
      const chosen = { ...config, defaultProvider: name, providers: { [name]: config.providers[name]! } };
      await rebuild(changeProviders(chosen, () => EXISTING));
    });
}

/** Rejects with a StoreOpenError, for example when a daemon has the store. */
async function rebuild(config: Config): Promise<void> {
  const [{ openStorage }, { createLogger }] = await Promise.all([
    import('../storage/storage.ts'),
    import('../logging.ts'),
  ]);
  const storage = await openStorage(
    { ...config, retention: {} },
    { log: createLogger(config.log), rebuildCatalog: true },
  );
  try {
    const { provider, count, bytes } = await completeStatistics(storage);
    await printLine(`${provider}: ${countOf(count, 'image')}, ${formatBytes(bytes)}`);
  } finally {
    await storage.close();
  }
}

/** Returns the statistics once the catalog is complete: that of a bucket is filled in the background. */
async function completeStatistics(storage: Storage) {
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
