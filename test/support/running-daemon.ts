/** A whole daemon in this process: a start takes a tenth of what a process of its own takes. */
import { openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Environment, type Flags, loadConfig } from '../../src/config.ts';
import { type DaemonOptions, startDaemon } from '../../src/daemon.ts';
import { createLogger } from '../../src/logging.ts';
import type { Logger } from '../../src/storage/domain/logger.ts';
import { WITHOUT_PREVIEWS } from './previews.ts';

export interface RunningDaemon extends AsyncDisposable {
  /** `host:port` */
  address: string;
  /** Those of `opsListen`. */
  opsAddresses: readonly string[];
  /** Path of its Unix socket. */
  socket: string;
  close(): Promise<void>;
}

/** Over an empty store that goes with it, without previews. `env` holds further settings; without a `log`, nothing is logged. */
export async function runDaemon(
  env: Environment = {},
  { log, ...options }: DaemonOptions & { log?: Logger } = {},
): Promise<RunningDaemon> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const socket = join(folder, 'socket');
  const flags = { listen: ['127.0.0.1:0', `unix:${socket}`], basePath: join(folder, 'outputs'), logLevel: 'silent' };
  const config = loadConfig({ flags, env: { ...WITHOUT_PREVIEWS, ...env } });
  const daemon = await startDaemon(config, log ?? createLogger(config.log), options);
  const close = async () => {
    await daemon.close();
    await rm(folder, { recursive: true });
  };
  const address = daemon.addresses.find((name) => name.startsWith('127.0.0.1:'))!;
  const { opsAddresses } = daemon;
  return { address, opsAddresses, socket, close, [Symbol.asyncDispose]: close };
}

export interface OwnDaemonOptions {
  /** A file with settings, as for `serve --config`. */
  configFile?: string;
  flags?: Flags;
  /** Where it logs; default the stderr of this process. */
  logFile?: string;
}

/** Over stores that stay. It listens on a port of its own unless flags say where. */
export async function runDaemonOver({
  configFile,
  flags = {},
  logFile,
}: OwnDaemonOptions): Promise<Pick<RunningDaemon, 'address' | 'close'>> {
  const config = loadConfig({
    flags: { listen: ['127.0.0.1:0'], logLevel: 'warn', ...flags },
    env: WITHOUT_PREVIEWS,
    configFile,
  });
  const destination = logFile === undefined ? process.stderr : { fd: openSync(logFile, 'a') };
  const daemon = await startDaemon(config, createLogger(config.log, destination));
  return { address: daemon.addresses[0]!, close: () => daemon.close() };
}
