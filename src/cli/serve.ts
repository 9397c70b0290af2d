/** `image-storage serve`: runs the daemon until it is told to stop. */
import { constants } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import { DEFAULT_ADDRESS } from '../address.ts';
import { type Config, type Environment, loadConfig, processEnvironment } from '../config.ts';
import type { Daemon } from '../daemon.ts';
import { EXIT } from '../exit-codes.ts';
import type { Logger } from '../storage/domain/logger.ts';
import { providerTypeOf } from '../storage/factory.ts';
import { type SettingsFlags, withSettings } from './shared/settings.ts';

/** What is left after the grace for closing the store. */
const CLOSING_SECONDS = 5;
/** `npm start` passes Ctrl-C on to a process that the terminal has told already: that is one signal, not two. */
const SAME_SIGNAL_MS = 500;

export function registerServe(program: Command): void {
  withSettings(program.command('serve').description('run the daemon'))
    .option('--no-create', 'refuse to start where a store would be made, such as where a disk is not mounted')
    .action(serve);
}

interface ServeFlags extends SettingsFlags {
  create: boolean;
}

async function serve({ config: configFile, create, ...flags }: ServeFlags): Promise<void> {
  const env = processEnvironment();
  const given = loadConfig({ flags, env, configFile });
  const config = create ? given : withoutCreate(given);
  // Loaded here, so that no other command waits for it.
  const [{ startDaemon }, { createLogger }] = await Promise.all([import('../daemon.ts'), import('../logging.ts')]);
  const log = createLogger(config.log);
  process.on('uncaughtExceptionMonitor', (error) => log.fatal({ err: error }, 'a bug ended the daemon'));
  const shutdown = listenForSignals(log, config.shutdownGraceSeconds);
  try {
    const daemon = await startDaemon(config, log, { onFatal: (exitCode) => process.exit(exitCode) });
    keepHeapSmall();
    process.stdout.write(greeting(config, daemon, env));
    await shutdown.of(daemon);
  } catch (error) {
    log.debug({ err: error }, 'the daemon failed');
    throw error;
  }
  process.exit(EXIT.OK);
}

/** `--no-create` holds for every provider of a type that makes stores. */
function withoutCreate(config: Config): Config {
  const providers = Object.entries(config.providers).map(([name, provider]) => {
    const makesStores = 'create' in providerTypeOf(provider)!.settings.shape;
    return [name, makesStores ? { ...provider, create: false } : provider];
  });
  return { ...config, providers: Object.fromEntries(providers) };
}

/** Else V8 lets the young generation of a busy daemon grow to 128 MB; what it has after the start is enough. */
function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** Before there is a daemon a signal ends the process; then the first one closes the daemon, and the next one does not wait. */
function listenForSignals(log: Logger, graceSeconds: number): { of(daemon: Daemon): Promise<void> } {
  const first = Promise.withResolvers<void>();
  let isServing = false;
  let signalledAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    const exitNow = () => process.exit(128 + constants.signals[signal]);
    if (!isServing) exitNow();
    const now = performance.now();
    if (signalledAt !== undefined && now - signalledAt > SAME_SIGNAL_MS) exitNow();
    if (signalledAt !== undefined) return;
    signalledAt = now;
    log.info({ signal }, 'closing; a second signal does not wait');
    setTimeout(exitNow, (graceSeconds + CLOSING_SECONDS) * 1000).unref();
    first.resolve();
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  return {
    async of(daemon) {
      isServing = true;
      await first.promise;
      await daemon.close();
    },
  };
}

/** What somebody who starts it by hand wants to know next. */
function greeting({ providers, defaultProvider }: Config, { addresses, newStores }: Daemon, env: Environment): string {
  const lines = addresses.map((address) => `ImageStorage listens on ${address}`);
  const provider = providers[defaultProvider]!;
  lines.push(`Images go to ${providerTypeOf(provider)!.where(provider)}`);
  for (const place of newStores) lines.push(`A new store was made in ${place}`);
  lines.push(`Save one:  ${commandLine(env)} save picture.png --prompt "a red fox"${addressFlag(addresses)}`);
  return `${lines.join('\n')}\n`;
}

/** How this very program was called: from its checkout, through npx, or by its name. */
function commandLine({ npm_package_name: name, npm_lifecycle_event: event }: Environment): string {
  if (event === 'npx') return 'npx image-storage';
  return event !== undefined && name === 'image-storage' ? 'npm run cli --' : 'image-storage';
}

function addressFlag(addresses: readonly string[]): string {
  if (addresses.includes(DEFAULT_ADDRESS)) return '';
  const address = addresses[0]!.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:');
  return address === DEFAULT_ADDRESS ? '' : ` --address ${address}`;
}
