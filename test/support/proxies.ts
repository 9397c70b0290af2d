/** Real nginx and Caddy in front of a daemon, on a free port of this machine, from configurations that a test gives. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const START_MS = 20_000;

export interface ReverseProxy {
  name: 'nginx' | 'caddy';
  /** Whether it is installed. */
  available: boolean;
  /** Has the program itself check a configuration; rejects with what it complains of. */
  check(folder: string, config: string): Promise<void>;
  /** Starts it in that folder; resolves once the port answers. */
  start(folder: string, config: string, port: number): Promise<AsyncDisposable>;
}

export const nginx: ReverseProxy = {
  name: 'nginx',
  available: spawnSync('nginx', ['-v']).status === 0,
  async check(folder, config) {
    await run('nginx', ['-t', ...(await nginxFlags(folder, config))]);
  },
  async start(folder, config, port) {
    const args = [...(await nginxFlags(folder, config)), '-g', 'daemon off;'];
    return listening(spawn('nginx', args, { stdio: ['ignore', 'inherit', 'inherit'] }), port);
  },
};

export const caddy: ReverseProxy = {
  name: 'caddy',
  available: spawnSync('caddy', ['version']).status === 0,
  async check(folder, config) {
    await run('caddy', ['validate', ...(await caddyFlags(folder, config))], { env: caddyEnv(folder) });
  },
  async start(folder, config, port) {
    const args = ['run', ...(await caddyFlags(folder, config))];
    return listening(spawn('caddy', args, { stdio: ['ignore', 'inherit', 'ignore'], env: caddyEnv(folder) }), port);
  },
};

/** What a distribution's own nginx.conf is to a file in conf.d. */
async function nginxFlags(folder: string, config: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'site.conf'), config);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  const main = [
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
    'worker_processes 1;',
    `pid ${folder}/nginx.pid;`,
    'error_log stderr error;',
    'events { worker_connections 512; }',
    `http { access_log off; ${temporary.join(' ')} include ${folder}/site.conf; }`,
  ];
  await writeFile(join(folder, 'nginx.conf'), main.join('\n'));
  return ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')];
}

/** Nothing but the port of the site: no administration, no plain port 80. */
async function caddyFlags(folder: string, config: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'Caddyfile');
  await writeFile(path, `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${config}`);
  return ['--config', path, '--adapter', 'caddyfile'];
}

function caddyEnv(folder: string): NodeJS.ProcessEnv {
  return { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
}

async function listening(child: ChildProcess, port: number): Promise<AsyncDisposable> {
  const exited = once(child, 'exit');
  const end = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  for (const deadline = Date.now() + START_MS; !(await answers(port)); await sleep(20)) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}`);
    if (Date.now() < deadline) continue;
    await end();
    throw new Error(`${child.spawnfile} does not listen on ${port}`);
  }
  return { [Symbol.asyncDispose]: end };
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
