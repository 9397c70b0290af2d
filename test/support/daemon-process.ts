/** A daemon in a process of its own, started by the command that people use. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { COMMAND } from './command.ts';

export interface DaemonProcess {
  /** `host:port` or `unix:PATH`, the first it listens on. */
  address: string;
  process: ChildProcess;
  /** Ends it and answers its exit code, null after SIGKILL. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
}

export interface DaemonProcessOptions {
  /** Default `127.0.0.1:0`. */
  listen?: string;
  flags?: string[];
  /** Its log goes to `process.stderr`; default that of this process. */
  stderr?: 'pipe' | 'inherit';
  /** The script of the command; default that of this checkout. */
  command?: string;
  /** Variables besides those of this process. */
  env?: NodeJS.ProcessEnv;
}

/** Without a base path it has the stores of its configuration alone. Rejects when it ends before it listens. */
export async function startDaemonProcess(
  basePath: string | undefined,
  { listen = '127.0.0.1:0', flags = [], stderr = 'inherit', command = COMMAND, env = {} }: DaemonProcessOptions = {},
): Promise<DaemonProcess> {
  const store = basePath === undefined ? [] : ['--base-path', basePath];
  const args = [command, 'serve', '--listen', listen, ...store, '--log-level', 'warn', ...flags];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', stderr],
    env: { ...process.env, ...env },
  });
  const address = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the daemon ended with ${code} before it listened`)));
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const match = /^ImageStorage listens on (.+)$/.exec(line);
      if (match) resolve(match[1]!);
    });
  });
  const stop = async (signal: 'SIGTERM' | 'SIGKILL') => {
    const exit = once(child, 'exit') as Promise<[number | null]>;
    child.kill(signal);
    return (await exit)[0];
  };
  return { address, process: child, stop };
}
