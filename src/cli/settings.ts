/** The flags that set something, shared by `serve` and the commands that tell what it would be given. */
import type { Command } from 'commander';
import type { Flags } from '../config.ts';
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
