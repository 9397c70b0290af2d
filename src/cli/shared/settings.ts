/** What commands that read the configuration share: the flags that set something, and changes to providers. */
import type { Command } from 'commander';
import type { Config, Flags } from '../../config.ts';
import { EXIT } from '../../exit-codes.ts';
import type { AnyProviderConfig } from '../../storage/domain/config.ts';
import { withoutAlias } from '../../storage/settings.ts';
import { collect } from './flags.ts';

export interface SettingsFlags extends Flags {
  /** A YAML file. */
  config?: string;
}

export function withSettings(command: Command): Command {
  return command
    .option('--listen <address>', 'host:port, [v6]:port or unix:PATH; port 0 picks one; repeatable', collect)
    .option('--base-path <dir>', 'the root folder of the images (default: ./outputs)')
    .option('--config <file>', 'a YAML file (default: IMAGE_STORAGE_CONFIG)')
    .option('--public-url <url>', 'prefix of the URLs of images')
    .option('--insecure', 'listen where other machines can reach it, although nobody is asked who they are')
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent (default: info)')
    .option('--log-format <format>', 'auto, json or pretty (default: auto)')
    .addHelpText('after', '\nEvery setting has a variable, too: limits.maxSaves is IMAGE_STORAGE_LIMITS_MAX_SAVES.');
}

/** Returns the configuration with these settings of each provider replaced. */
export function changeProviders(config: Config, change: (name: string) => Partial<AnyProviderConfig>): Config {
  const providers = Object.entries(config.providers).map(([name, given]) => [name, { ...given, ...change(name) }]);
  return { ...config, providers: Object.fromEntries(providers) };
}

/** Returns the name of the provider in the configuration; ends the command where none has it. */
export function providerNamed(command: Command, { providers }: Config, given: string): string {
  const name = withoutAlias(given);
  const names = Object.keys(providers);
  if (names.includes(name)) return name;
  const message = `error: no provider is named "${given}"; configured: ${names.join(', ')}`;
  return command.error(message, { exitCode: EXIT.USAGE });
}
