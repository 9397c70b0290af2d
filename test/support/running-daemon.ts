/** A whole daemon in this process, over an empty store that goes with it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Environment, loadConfig } from '../../src/config.ts';
import { type DaemonOptions, startDaemon } from '../../src/daemon.ts';
import { createLogger } from '../../src/logging.ts';

export interface RunningDaemon extends AsyncDisposable {
  /** `host:port` */
  address: string;
  /** Path of its Unix socket. */
  socket: string;
  close(): Promise<void>;
}

/** `env` holds further settings. */
export async function runDaemon(env: Environment = {}, options: DaemonOptions = {}): Promise<RunningDaemon> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const socket = join(folder, 'socket');
  const flags = { listen: ['127.0.0.1:0', `unix:${socket}`], basePath: join(folder, 'outputs'), logLevel: 'silent' };
  const config = loadConfig({ flags, env });
  const daemon = await startDaemon(config, createLogger(config.log), options);
  const close = async () => {
    await daemon.close();
    await rm(folder, { recursive: true });
  };
  const address = daemon.addresses.find((name) => name.startsWith('127.0.0.1:'))!;
  return { address, socket, close, [Symbol.asyncDispose]: close };
}
