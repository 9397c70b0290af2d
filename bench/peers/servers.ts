/** Starts each store of the comparison on a fresh folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Tools } from './tools.ts';

/** That of a package runs the bundle. */
const DAEMON = process.env.PEERS_DAEMON ?? fileURLToPath(new URL('../../bin/image-storage.js', import.meta.url));
const TUS_SERVER = fileURLToPath(new URL('./tus-server.mjs', import.meta.url));
const START_MS = 20_000;

export interface Peer {
  name: string;
  /** How the client speaks to it. */
  target: 'is' | 'http' | 'bytestream' | 's3' | 'tus' | 'file';
  /** What it does not do that the daemon does. */
  lacks: string;
  /** The command that serves the folder on the port; undefined: the client does the work itself. */
  command?: (folder: string, port: number) => { args: string[]; env?: NodeJS.ProcessEnv };
}

/** A store that answers, or the folder that the client writes to. */
export interface Running {
  address: string;
  folder: string;
  process?: ChildProcess;
}

/** Returns those whose programs were found. */
export function peersOf({ bazelRemote, versitygw, tusd, tusModules }: Tools): Peer[] {
  const peers: (Peer | undefined | '')[] = [
    {
      name: 'ImageStorage',
      target: 'is',
      lacks: '–',
      command: (folder, port) => ({
        args: [process.execPath, DAEMON, 'serve', '--listen', `127.0.0.1:${port}`, '--base-path', folder],
      }),
    },
    {
      name: 'ImageStorage, HTTP',
      target: 'http',
      lacks: 'gRPC: it saves by a form, and reads the url of the answer',
      command: (folder, port) => ({
        args: [process.execPath, DAEMON, 'serve', '--listen', `127.0.0.1:${port}`, '--base-path', folder],
      }),
    },
    bazelRemote && {
      name: 'bazel-remote',
      target: 'bytestream',
      lacks: 'metadata, lists, checks of the image, a sync of the folder; it hashes, and syncs each file',
      command: (folder, port) => ({ args: [bazelRemote, ...bazelFlags(folder, port)] }),
    },
    versitygw && {
      name: 'versitygw',
      target: 's3',
      lacks: 'a sync of anything, a hash (the client sends none), lists by metadata, checks of the image',
      command: (folder, port) => {
        // Its name must not begin with that of the folder.
        const sidecar = join(dirname(folder), `sidecar-${basename(folder)}`);
        mkdirSync(sidecar);
        const env = { ROOT_ACCESS_KEY: 'user', ROOT_SECRET_KEY: 'password1' };
        return { args: [versitygw, '--port', `127.0.0.1:${port}`, 'posix', '--sidecar', sidecar, folder], env };
      },
    },
    tusd && {
      name: 'tusd',
      target: 'tus',
      lacks: 'a sync of anything, a hash, lists, checks of the image',
      command: (folder, port) => ({
        args: [tusd, '-host', '127.0.0.1', '-port', String(port), '-upload-dir', folder, '-show-startup-logs=false'],
      }),
    },
    tusModules && {
      name: '@tus/server',
      target: 'tus',
      lacks: 'a sync of anything, a hash, lists, checks of the image',
      command: (folder, port) => ({ args: [process.execPath, TUS_SERVER, tusModules, folder, String(port)] }),
    },
    { name: 'floor', target: 'file', lacks: 'everything but the writes, the hash and the syncs, in the client itself' },
  ];
  return peers.filter((peer) => peer !== undefined && peer !== '');
}

function bazelFlags(folder: string, port: number): string[] {
  return [
    ...['--dir', folder, '--max_size', '50', '--grpc_address', `127.0.0.1:${port}`],
    ...['--http_address', `unix://${folder}.sock`, '--storage_mode', 'uncompressed', '--access_log_level', 'none'],
  ];
}

let started = 0;

/** Each has a folder of its own. Many small files should stay until the end: ext4 is slow where many were deleted a moment ago. */
export async function start({ name, command }: Peer, data: string): Promise<Running> {
  started += 1;
  const folder = join(data, `${started}-${name.replaceAll('/', '-')}`);
  mkdirSync(folder, { recursive: true });
  if (command === undefined) return { address: folder, folder };
  const port = await freePort();
  const { args, env } = command(folder, port);
  const [program, ...rest] = args as [string, ...string[]];
  const child = spawn(program, rest, { stdio: 'ignore', env: { ...process.env, NODE_ENV: 'production', ...env } });
  for (const deadline = performance.now() + START_MS; !(await answers(port)); await sleep(20)) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`${name} does not start`);
  }
  return { address: `127.0.0.1:${port}`, folder, process: child };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
      .once('connect', () => {
        socket.destroy();
        resolve(true);
      })
      .once('error', () => resolve(false));
  });
}
