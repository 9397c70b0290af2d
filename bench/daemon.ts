/** Starts the daemon as users do, in a process of its own, with a probe inside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
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
  /** Returns the activity since the last call. Requires the probe. */
  activity(): Promise<Activity>;
  /** Returns the CPU time of all its threads until now, as the kernel counts it. */
  cpuSeconds(): number;
  /** The most memory that it had before it was ended; NaN where the kernel keeps no account of it. */
  peakMemoryMb(): number;
  /** Ends it by SIGTERM. */
  stop(): Promise<void>;
  /** Ends it by SIGKILL. */
  kill(): Promise<void>;
}

/** `env` holds further settings. Rejects when the daemon ends before it listens. */
export async function startDaemon(basePath: string, env: NodeJS.ProcessEnv = {}): Promise<Daemon> {
  return started(['--import', PROBE], ['--base-path', basePath], env);
}

/** Without the probe, which takes CPU itself. */
export async function startConfigured(configFile: string): Promise<Daemon> {
  return started([], ['--config', configFile]);
}

async function started(options: string[], store: string[], env: NodeJS.ProcessEnv = {}): Promise<Daemon> {
  const begun = performance.now();
  const args = [...options, BIN, 'serve', '--listen', '127.0.0.1:0', ...store, '--log-format', 'json'];
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
  let peakMemoryMb = Number.NaN;
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    peakMemoryMb = peakMemoryOf(child.pid!);
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  };
  return {
    address,
    startSeconds: (performance.now() - begun) / 1000,
    log,
    activity: () => ask(child, {}),
    cpuSeconds: () => cpuSecondsOf(child.pid!),
    peakMemoryMb: () => peakMemoryMb,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

/** Returns utime and stime, whose unit is 10 ms wherever Node runs. */
function cpuSecondsOf(pid: number): number {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ').slice(11);
  return (Number(user) + Number(system)) / 100;
}

/** Returns the most memory that the process had until now. */
function peakMemoryOf(pid: number): number {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
    return Number(kilobytes) / 1000;
  } catch {
    return Number.NaN;
  }
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
