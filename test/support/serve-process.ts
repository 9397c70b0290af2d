/** The daemon as a supervisor starts it: with streams, limits and a user of the test's choice, reached over a Unix socket. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { Health, type HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { COMMAND } from './command.ts';
import { transportTo } from './grpc.ts';
import { works } from './mounts.ts';

/** `nobody` on every Linux. */
export const OTHER_UID = 65534;

export interface ServeOptions {
  stdio?: StdioOptions;
  flags?: string[];
  env?: Record<string, string>;
  /** Runs the daemon's command, such as `['strace', '-f']`. */
  through?: string[];
  uid?: number;
}

/** A daemon that may not serve yet, or never. */
export interface Served extends AsyncDisposable {
  address: string;
  process: ChildProcess;
  /** Resolves with the exit code, or null after a signal that ended it. */
  exited: Promise<number | null>;
  /** Resolves once health answers; rejects when the process ends before. */
  answers(): Promise<void>;
  health(): Promise<Status>;
  /** Resolves with the exit code; rejects when the process does not end within 20 s. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

/** Its store is `outputs` in the folder, its socket `socket`. */
export function serve(folder: string, options: ServeOptions = {}): Served {
  const { stdio = ['ignore', 'ignore', 'inherit'], flags = [], env = {}, through = [], uid } = options;
  const address = `unix:${join(folder, 'socket')}`;
  const daemon = [process.execPath, COMMAND, 'serve', '--listen', address, '--base-path', join(folder, 'outputs')];
  const [command, ...args] = [...through, ...daemon, ...flags] as [string, ...string[]];
  const child = spawn(command, args, {
    stdio,
    env: { ...process.env, ...env },
    ...(uid !== undefined && { uid, gid: uid }),
  });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const health = async () => (await createClient(Health, transportTo(address)).check({})).status;
  return {
    address,
    process: child,
    exited,
    health,
    answers: async () => {
      for (;;) {
        const ended = child.exitCode ?? child.signalCode;
        if (ended !== null) throw new Error(`the daemon ended with ${ended} before it answered`);
        if (await health().catch(() => undefined)) return;
        await sleep(20);
      }
    },
    async stop(signal) {
      child.kill(signal);
      const late = sleep(20_000, undefined, { ref: false }).then(() => Promise.reject(new Error('it does not end')));
      return Promise.race([exited, late]);
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
    },
  };
}

export interface Fifo extends Disposable {
  /** The end that a process writes to. */
  fd: number;
  /** Returns what is in it now. */
  read(): string;
  /** Writes until nothing fits in. */
  fill(): void;
}

/** A pipe that is read only by `read`. */
export function openFifo(folder: string): Fifo {
  const path = join(folder, 'fifo');
  if (!works('mkfifo', path)) throw new Error('mkfifo failed');
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  return {
    fd,
    read: () => untilAgain((buffer) => readSync(reader, buffer)),
    fill: () => void untilAgain((buffer) => writeSync(fd, buffer.fill('.'))),
    [Symbol.dispose]: () => [reader, fd].forEach(closeSync),
  };
}

/** Repeats a system call until there is nothing more, or no more room. Returns the bytes. */
function untilAgain(call: (buffer: Buffer) => number): string {
  const chunks: Buffer[] = [];
  for (;;) {
    const buffer = Buffer.alloc(4096);
    try {
      const bytes = call(buffer);
      if (bytes === 0) break;
      chunks.push(buffer.subarray(0, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') break;
      throw error;
    }
  }
  return Buffer.concat(chunks).toString();
}
