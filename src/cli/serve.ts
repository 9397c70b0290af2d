/** `image-storage serve`: runs the daemon until a signal stops it. */
import { constants } from 'node:os';
import { type Command, Option } from 'commander';
import { DEFAULT_ADDRESS } from '../address.ts';
import { type Environment, processEnvironment } from '../config/process.ts';
import { type Config, loadConfig } from '../config.ts';
import { boundHeap } from '../daemon/heap.ts';
import type { Daemon } from '../daemon.ts';
import { EXIT } from '../exit-codes.ts';
import { openLineWriter } from '../logging/line-writer.ts';
import type { Logger } from '../storage/domain/logger.ts';
import { providerTypeOf } from '../storage/factory.ts';
import { type ForeignImages, tellOfForeign } from './serve/foreign-images.ts';
import { lockedBy } from './shared/running-daemon.ts';
import { changeProviders, type SettingsFlags, withSettings } from './shared/settings.ts';

/** The time to close the store after the delay and the grace. */
const CLOSING_SECONDS = 5;
/** How long a failed start may keep the process alive for what it leaves open, such as a message on a pipe that nobody reads. */
const LAST_WORDS_MS = 2_000;
/** `npm start` repeats a Ctrl-C that the process already had from the terminal: signals this close count as one. */
const SAME_SIGNAL_MS = 500;

export function registerServe(program: Command): void {
  withSettings(program.command('serve').description('run the daemon'))
    .option('--no-create', 'refuse to start where a store would be made, such as where a disk is not mounted')
    .addOption(new Option('--no-raw', 'serve Save and Get through the layers of all other calls').hideHelp())
    .action(serve);
}

interface ServeFlags extends SettingsFlags {
  create: boolean;
  raw: boolean;
}

async function serve({ config: configFile, create, raw, ...flags }: ServeFlags): Promise<void> {
  const env = processEnvironment();
  const given = loadConfig({ flags, env, configFile });
  const config = create ? given : changeProviders(given, () => ({ create: false }));
  // Loaded here, so that no other command waits for it.
  const [{ startDaemon }, { createLogger }] = await Promise.all([import('../daemon.ts'), import('../logging.ts')]);
  const log = createLogger(config.log);
  process.on('uncaughtExceptionMonitor', (error) => log.fatal({ err: error }, 'a bug ended the daemon'));
  const shutdown = listenForSignals(log, config.shutdownDelaySeconds + config.shutdownGraceSeconds);
  try {
    const newStores: string[] = [];
    const daemon = await startDaemon(config, log, {
      onFatal: (exitCode) => process.exit(exitCode),
      raw,
      command: commandLine(env),
      onNewStore: (place) => newStores.push(place),
      onLocked: lockedBy(config, log),
    });
    // Not before: under other flags V8 takes no code from the cache, neither here nor in the threads of the catalogs.
    boundHeap();
    const isSeen = process.stdout.isTTY === true;
    const stdout = openLineWriter(process.stdout);
    stdout.write(joined(isSeen ? greeting(config, daemon, newStores, env) : addressLines(daemon)));
    const say = (line: string, found: ForeignImages) => {
      if (isSeen) stdout.write(joined([line]));
      else log.warn({ ...found }, line);
    };
    // A signal is obeyed meanwhile.
    const commands = { command: commandLine(env), addressFlag: addressFlag(daemon.addresses) };
    tellOfForeign(newStores, commands, say).catch((err) => log.debug({ err }, 'the folder cannot be read'));
    await shutdown.of(daemon);
  } catch (error) {
    log.debug({ err: error }, 'the daemon failed');
    setTimeout(() => process.exit(), LAST_WORDS_MS).unref();
    throw error;
  }
  process.exit(EXIT.OK);
}

/**
 * Ends the process on a signal before the daemon serves. Then the first signal closes the daemon, and the next one does
 * not wait.
 */
function listenForSignals(log: Logger, closingSeconds: number): { of(daemon: Daemon): Promise<void> } {
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
    setTimeout(exitNow, (closingSeconds + CLOSING_SECONDS) * 1000).unref();
    first.resolve();
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal).on('SIGHUP', onSignal);
  return {
    async of(daemon) {
      isServing = true;
      await first.promise;
      await daemon.close();
    },
  };
}

function joined(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

/** What a program that starts the daemon waits for, also where it may choose the port. */
function addressLines({ addresses }: Daemon): string[] {
  return addresses.map((address) => `ImageStorage listens on ${address}`);
}

/** Returns the lines for a user who starts the daemon by hand. */
function greeting(
  { providers, defaultProvider, publicUrl, tls }: Config,
  daemon: Daemon,
  newStores: readonly string[],
  env: Environment,
): string[] {
  const { addresses, hasGallery } = daemon;
  const lines = addressLines(daemon);
  const provider = providers[defaultProvider]!;
  lines.push(`Images go to ${providerTypeOf(provider)!.where(provider)}`);
  for (const place of newStores) lines.push(`A new store was made in ${place}`);
  lines.push(`Save one:  ${commandLine(env)} save picture.png --prompt "a red fox"${addressFlag(addresses)}`);
  const seen = hasGallery ? galleryUrl(publicUrl, addresses, tls.cert !== '') : undefined;
  if (seen !== undefined) lines.push(`Look at them: ${seen}`);
  return lines;
}

/** Returns how this program was called: from its checkout, through npx, or by its name. */
function commandLine({ npm_package_name: name, npm_lifecycle_event: event }: Environment): string {
  if (event === 'npx') return 'npx image-storage';
  // Only a checkout has sources.
  const isCheckout = import.meta.url.endsWith('.ts') || (event !== undefined && name === 'image-storage');
  return isCheckout ? 'npm run cli --' : 'image-storage';
}

/** Undefined where no browser reaches it. */
function galleryUrl(publicUrl: string, addresses: readonly string[], isTls: boolean): string | undefined {
  if (publicUrl !== '') return publicUrl;
  const address = addresses.find((each) => !each.startsWith('unix:'));
  return address && `${isTls ? 'https' : 'http'}://${fromHere(address)}`;
}

/** An address that stands for all of this machine cannot be asked for. */
function fromHere(address: string): string {
  return address.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:');
}

function addressFlag(addresses: readonly string[]): string {
  if (addresses.includes(DEFAULT_ADDRESS)) return '';
  const address = fromHere(addresses[0]!);
  return address === DEFAULT_ADDRESS ? '' : ` --address ${address}`;
}
