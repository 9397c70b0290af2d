/** Starts the daemon as users do, in a process of its own, with a probe inside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ask } from './child.ts';
import type { Activity } from './probe.ts';

const BIN = fileURLToPath(new URL('../bin/image-storage.js', import.meta.url));
const PROBE = new URL('./probe.ts', import.meta.url).href;
const ADDRESS = /^ImageStorage listens on (.+)$/;

export interface Daemon {
  address: string;
  /** From its start until it listened. */
  startSeconds: number;
  /** The lines logged until now. */
  log: Record<string, unknown>[];
  /** Returns the activity since the last call. */
  activity(): Promise<Activity>;
  /** Ends it by SIGTERM. */
  stop(): Promise<void>;
}

/** `env` holds further settings. Rejects when the daemon ends before it listens. */
export async function startDaemon(basePath: string, env: NodeJS.ProcessEnv = {}): Promise<Daemon> {
  const begun = performance.now();
  const args = [
    '--import',
    PROBE,
    BIN,
    'serve',
    '--listen',
    '127.0.0.1:0',
    '--base-path',
    basePath,
    '--log-format',
    'json',
  ];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
    env: { ...process.env, ...env },
  });
  const log: Daemon['log'] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => {
    if (line.startsWith('{')) log.push(JSON.parse(line));
    else console.error(line);
  });
  const address = await addressOf(child);
  return {
    address,
    startSeconds: (performance.now() - begun) / 1000,
    log,
    activity: () => ask(child, {}),
    async stop() {
      const exit = once(child, 'exit');
      child.kill();
      await exit;
    },
  };
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the daemon ended with ${code} before it listened`)));
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const [, address] = ADDRESS.exec(line) ?? [];
      if (address !== undefined) resolve(address);
    });
  });
}
