/** Runs a command on the running daemon or, with `--config`, on a daemon of the command's own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { processEnvironment } from '../../config/process.ts';
import { type Config, loadConfig } from '../../config.ts';
import { EXIT } from '../../exit-codes.ts';
import { StoreOpenError } from '../../storage/domain/errors.ts';
import { printError } from '../terminal/text.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './connection.ts';
import { changeProviders, providerNamed } from './settings.ts';

const ALL = '*';
/** A daemon that has the lock keeps it, and the user waits. */
const NOT_WAITING = { lockWaitSeconds: 1, required: true };
/** Settings of a provider that a command opens by itself: a mistyped path must not become a store. */
export const EXISTING = { ...NOT_WAITING, create: false };

export interface DaemonFlags extends AddressFlags {
  config?: string;
}

/** The providers that a command works on, as its user names them: `''` is the default, `*` all. */
export interface Chosen {
  /** Those that must hold a store. */
  existing: string;
  /** One whose store is made where there is none, which the user is told. */
  target?: string;
}

/** Adds `--address` and `--config`. */
export function withDaemonFlags(command: Command): Command {
  withAddress(command).option('--config <file>', 'no daemon runs: open the stores of this configuration instead');
  return command.hook('preAction', (_, { opts }) => {
    const { address, config } = opts.call(command) as DaemonFlags;
    if (address !== undefined && config !== undefined) {
      command.error('error: --address is a daemon, --config runs one: say only one of them', { exitCode: EXIT.USAGE });
    }
  });
}

/**
 * Runs the work on these providers and sets the process's exit code. Rejects with a StoreOpenError, such as one that
 * names the holder of the lock, or a path without a store.
 */
export async function withDaemon(
  command: Command,
  flags: DaemonFlags,
  chosen: Chosen,
  work: (session: Session) => Promise<number>,
): Promise<void> {
  if (flags.config === undefined) return withClient(flags, work);
  const config = only(command, chosen, loadConfig({ env: processEnvironment(), configFile: flags.config }));
  const [{ startDaemon }, { createLogger }] = await Promise.all([
    import('../../daemon.ts'),
    import('../../logging.ts'),
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  try {
    const listen = [`unix:${join(folder, 'socket')}`];
    const log = createLogger({ ...config.log, level: 'warn' });
    const onNewStore = (place: string) => printError(`a new store was made in ${place}`);
    // In a folder that only its user may enter.
    const auth = { ...config.auth, tokens: undefined, tokensFile: '' };
    const tls = { ...config.tls, cert: '', key: '', clientCa: '' };
    const daemon = await startDaemon({ ...config, listen, auth, tls }, log, { onNewStore }).catch((error) => {
      throw isLocked(error)
        ? new StoreOpenError('locked', `${error.message}; without --config the daemon that has it does the work`)
        : error;
    });
    try {
      await withClient({ address: listen[0] }, work);
    } finally {
      await daemon.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

function isLocked(error: unknown): error is StoreOpenError {
  return error instanceof StoreOpenError && error.kind === 'locked';
}

/** Keeps only these providers, since another may be down. Ends the command where one of them is not configured. */
function only(command: Command, { existing, target }: Chosen, config: Config): Config {
  const named = (name: string) => providerNamed(command, config, name || config.defaultProvider);
  const [from, to] = [existing === ALL ? undefined : named(existing), target === undefined ? undefined : named(target)];
  const kept = Object.entries(config.providers).filter(([name]) => from === undefined || name === from || name === to);
  const providers = Object.fromEntries(kept);
  // Nothing goes by itself for a command.
  const chosen = { ...config, defaultProvider: from ?? config.defaultProvider, providers, retention: {} };
  return changeProviders(chosen, (name) => (name === to && to !== from ? NOT_WAITING : EXISTING));
}
