/** `image-storage catalog`: builds the catalog of a stopped daemon again, and says which versions may open its store. */
import { type Command, Option } from 'commander';
import { processEnvironment } from '../config/process.ts';
import { type Config, loadConfig } from '../config.ts';
import { type DowngradeFlags, downgrade, upgrade } from './catalog/format.ts';
import { type MigrateFlags, migrate } from './catalog/migrate.ts';
import { completeStatistics, openChosen } from './catalog/own-store.ts';
import { EXISTING } from './shared/own-daemon.ts';
import { changeProviders, providerNamed } from './shared/settings.ts';
import { countOf, formatBytes, printLine } from './terminal/text.ts';

interface ChoiceFlags {
  config?: string;
  provider?: string;
}

export function registerCatalog(program: Command): void {
  const catalog = program.command('catalog').description('the index over the images of a provider');
  withChoice(catalog, 'rebuild', rebuild).description(
    'build it again from the records, while no daemon runs; the old one is kept beside it',
  );
  withChoice(catalog, 'upgrade', upgrade).description(
    'give a bucket that several daemons use a trash, while none of them runs; older versions then refuse it',
  );
  withChoice<DowngradeFlags>(catalog, 'downgrade', downgrade)
    .description('leave a store to versions without a trash, while no daemon runs')
    .addOption(new Option('--restore-trash', 'bring back what is in the trash').conflicts('purgeTrash'))
    .option('--purge-trash', 'delete for good what is in the trash');
  withChoice<MigrateFlags>(catalog, 'migrate', migrate)
    .description('move the index of a bucket to the Postgres that is configured, while none of its daemons runs')
    .option('--dry-run', 'only examine that Postgres')
    .option('--back', 'move it back to files in the state folders');
}

/** Adds a command that works on the store of one provider. */
function withChoice<F extends object>(
  catalog: Command,
  name: string,
  work: (config: Config, flags: F) => Promise<void>,
): Command {
  const command = catalog
    .command(name)
    .option('--provider <name>', 'default: the default provider')
    .option('--config <file>', 'a YAML file (default: IMAGE_STORAGE_CONFIG)');
  return command.action(async ({ config: configFile, provider, ...flags }: ChoiceFlags & F) => {
    const config = loadConfig({ env: processEnvironment(), configFile });
    const chosen = providerNamed(command, config, provider ?? config.defaultProvider);
    const alone = { ...config, defaultProvider: chosen, providers: { [chosen]: config.providers[chosen]! } };
    await work(
      changeProviders(alone, () => EXISTING),
      flags as F,
    );
  });
}

/** Rejects with a StoreOpenError, for example when a daemon has the store. */
async function rebuild(config: Config): Promise<void> {
  const storage = await openChosen(config, { rebuildCatalog: true });
  try {
    const { provider, count, bytes } = await completeStatistics(storage);
    await printLine(`${provider}: ${countOf(count, 'image')}, ${formatBytes(bytes)}`);
  } finally {
    await storage.close();
  }
}
