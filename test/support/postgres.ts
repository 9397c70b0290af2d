/** A real Postgres on this machine: a cluster of its own in a temporary folder, on a Unix socket, for an ordinary user. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';

const run = promisify(execFile);
const START_TIMEOUT_MS = 60_000;
const USER = 'images';
/** What a test loses with a power cut is in a temporary folder anyway. */
const SETTINGS = [
  ...["listen_addresses=''", 'fsync=off', 'full_page_writes=off'],
  ...['shared_buffers=32MB', 'max_connections=60', 'autovacuum=off', 'jit=off'],
];

/** Where Debian keeps the programs of a server, the newest last; they are not in the PATH. */
const folders = [...(process.env.PATH ?? '').split(delimiter), ...globSync('/usr/lib/postgresql/*/bin').sort()];
const bin = folders.findLast((folder) => globSync(join(folder, '{initdb,postgres}')).length === 2);

export const postgresAvailable: boolean = bin !== undefined;

export interface PostgresServer {
  /** Creates an empty database for a role that may do nothing but use it, and returns its URL. */
  createDatabase(): Promise<string>;
  /** Ends the server as a crash does, or with the grace of a restart. */
  halt(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again after `halt`. */
  start(): Promise<void>;
  /** Copies the data of the server, which it halts meanwhile. */
  backUp(): Promise<void>;
  /** Halts it, and starts it with what was copied last. */
  restore(): Promise<void>;
  /** Stops the processes of the server, which answer nothing until they are continued. */
  hang(): void;
  resume(): void;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

/** `settings` such as `shared_buffers=1GB` replace those for tests. */
export async function startPostgres(settings: readonly string[] = []): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-pg-'));
  const [data, backup] = [join(folder, 'data'), join(folder, 'backup')];
  const init = ['--no-sync', '--auth=trust', '--encoding=UTF8', '--locale=C', '--username=postgres', '--pgdata', data];
  await run(join(bin!, 'initdb'), init);
  const admin = (database: string) => urlOf(folder, 'postgres', database);
  let server = await started(data, folder, admin('postgres'), settings);
  await ask(admin('postgres'), `CREATE ROLE ${USER} LOGIN`);
  let databases = 0;
  const end = async (signal: NodeJS.Signals) => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill(signal);
    await exited;
  };
  const signalAll = (signal: NodeJS.Signals) => {
    const children = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8').trim().split(' ');
    for (const pid of [server.pid!, ...children.filter(Boolean).map(Number)]) process.kill(pid, signal);
  };
  return {
    async createDatabase() {
      databases += 1;
      await ask(admin('postgres'), `CREATE DATABASE test_${databases} OWNER ${USER}`);
      return urlOf(folder, USER, `test_${databases}`);
    },
    halt: (signal = 'SIGQUIT') => end(signal),
    async start() {
      server = await started(data, folder, admin('postgres'), settings);
    },
    async backUp() {
      await end('SIGINT');
      await rm(backup, { recursive: true, force: true });
      await cp(data, backup, { recursive: true });
      server = await started(data, folder, admin('postgres'), settings);
    },
    async restore() {
      await end('SIGQUIT');
      await rm(data, { recursive: true });
      await cp(backup, data, { recursive: true });
      server = await started(data, folder, admin('postgres'), settings);
    },
    hang: () => signalAll('SIGSTOP'),
    resume: () => signalAll('SIGCONT'),
    async stop() {
      await end('SIGQUIT');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Runs statements, and returns the rows of the last one. */
export async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const result: unknown = await client.query(sql);
    const last = (Array.isArray(result) ? result.at(-1) : result) as { rows: Record<string, unknown>[] };
    return last.rows;
  } finally {
    await client.end();
  }
}

function urlOf(folder: string, user: string, database: string): string {
  return `postgres://${user}@/${database}?host=${encodeURIComponent(folder)}`;
}

async function started(data: string, folder: string, url: string, given: readonly string[]) {
  const settings = [...SETTINGS, ...given, `unix_socket_directories='${folder}'`].flatMap((setting) => ['-c', setting]);
  const server = spawn(
    join(bin!, 'postgres'),
    ['-D', data, ...settings.map((setting) => setting.replaceAll("'", ''))],
    {
      stdio: 'ignore',
    },
  );
  for (const giveUpAt = Date.now() + START_TIMEOUT_MS; ; await sleep(50)) {
    try {
      await ask(url, 'SELECT 1');
      return server;
    } catch (error) {
      if (Date.now() > giveUpAt || server.exitCode !== null) throw error;
    }
  }
}
