/** Runs a command on the running daemon or, with `--config`, on a daemon of the command's own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type Config, loadConfig, processEnvironment } from '../../config.ts';
import { EXIT } from '../../exit-codes.ts';
import { StoreOpenError } from '../../storage/domain/errors.ts';
import { withoutAlias } from '../../storage/settings.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './connection.ts';

const LOCK_WAIT_SECONDS = 1;

export interface DaemonFlags extends AddressFlags {
  config?: string;
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
 * names the holder of the lock.
 */
export async function withDaemon(
  flags: DaemonFlags,
  providers: readonly string[],
  work: (session: Session) => Promise<number>,
): Promise<void> {
  if (flags.config === undefined) return withClient(flags, work);
  const config = only(providers, notWaiting(loadConfig({ env: processEnvironment(), configFile: flags.config })));
  const [{ startDaemon }, { createLogger }] = await Promise.all([
    import('../../daemon.ts'),
    import('../../logging.ts'),
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  try {
    const listen = [`unix:${join(folder, 'socket')}`];
    const log = createLogger({ ...config.log, level: 'warn' });
    const daemon = await startDaemon({ ...config, listen }, log).catch((error) => {
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

/**
 * Keeps only these providers, since another may be down. Keeps all for `*`, and for a name that the daemon will refuse.
 */
function only(names: readonly string[], config: Config): Config {
  const wanted = names.map((name) => withoutAlias(name || config.defaultProvider));
  if (!wanted.every((name) => Object.hasOwn(config.providers, name))) return config;
  const defaultProvider = wanted.includes(config.defaultProvider) ? config.defaultProvider : wanted[0]!;
  const providers = Object.entries(config.providers).filter(([name]) => wanted.includes(name));
  return { ...config, defaultProvider, providers: Object.fromEntries(providers) };
}

/** Shortens the wait for a lock: a daemon that has it keeps it, and the user waits. */
export function notWaiting(config: Config): Config {
  const providers = Object.entries(config.providers).map(([name, provider]) => [
    name,
    { ...provider, lockWaitSeconds: LOCK_WAIT_SECONDS },
  ]);
  return { ...config, providers: Object.fromEntries(providers) };
}
