/** What a start says: who has the store, that a store is new, and that images lie beside it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { tellOfForeign } from '../../src/cli/serve/foreign-images.ts';
import { connect } from '../../src/client.ts';
import { loadConfig } from '../../src/config.ts';
import { type Daemon, startDaemon } from '../../src/daemon.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { createLogger } from '../../src/logging.ts';
import { COMMAND } from '../support/command.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { hasScript } from '../support/terminal.ts';

/** More than sockets and windows hold: a Get of it stays open until it is read. */
const UNREAD_BYTES = 16 * 1024 * 1024;

let folder: string;
let basePath: string;
let socket: string;
const running: ChildProcess[] = [];
/** As called by its name, not by npm. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-start-'));
  basePath = join(folder, 'outputs');
  socket = `unix:${join(folder, 'socket')}`;
});

afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
  await rm(folder, { recursive: true });
});

const args = (...flags: string[]) => ['serve', '--base-path', basePath, '--listen', socket, ...flags];

function serve(...flags: string[]): ChildProcess {
  const child = spawn(process.execPath, [COMMAND, ...args(...flags)], { stdio: ['ignore', 'pipe', 'pipe'], env });
  running.push(child);
  return child;
}

function logOf(child: ChildProcess): AsyncIterator<string> {
  return createInterface({ input: child.stderr! })[Symbol.asyncIterator]();
}

/** The next line of the log for which the test holds. */
async function logged(log: AsyncIterator<string>, test: (line: Record<string, unknown>) => boolean) {
  for (let next = await log.next(); !next.done; next = await log.next()) {
    if (next.value.startsWith('{') && test(JSON.parse(next.value))) return JSON.parse(next.value);
  }
  throw new Error('the log ended');
}

describe('a store that another daemon has', () => {
  const start = (settings = {}): Promise<Daemon> => {
    const flags = { basePath, listen: [socket], logLevel: 'silent' };
    const config = loadConfig({ flags, env: settings });
    return startDaemon(config, createLogger(config.log));
  };

  it('ends the start at once, and is named, where that daemon serves', async () => {
    await using stack = new AsyncDisposableStack();
    stack.adopt(await start(), (daemon) => daemon.close());
    const child = serve();
    const [stderr, [exitCode]] = await Promise.all([child.stderr!.toArray(), once(child, 'exit')]);
    const holder = process.platform === 'linux' ? ` (pid ${process.pid})` : '';
    expect(Buffer.concat(stderr).toString()).toContain(
      `another process has the store open${holder}: a daemon serves on ${socket}; use it, or end it first`,
    );
    expect(exitCode).toBe(EXIT.LOCKED);
  });

  it('is waited for, and is named in the log, while that daemon drains', async () => {
    const first = await start({ IMAGE_STORAGE_SHUTDOWN_GRACE_SECONDS: '100' });
    const reader = connect(socket);
    onTestFinished(() => reader.close());
    const { filename } = await reader.save(pngOf({ width: 2, height: 2, sizeBytes: UNREAD_BYTES }));
    const { body } = await reader.get(filename);
    const closed = first.close();
    const child = serve();
    const log = logOf(child);
    const { msg, pid } = await logged(log, ({ path }) => path !== undefined);
    expect(msg).toBe('another process has the store open: waiting for it (lockWaitSeconds)');
    if (process.platform === 'linux') expect(pid).toBe(process.pid);
    for await (const _ of body);
    await closed;
    const { stores } = await logged(log, (line) => line.msg === 'listening');
    expect(stores).toEqual({ local: basePath });
  });
});

describe('images of another program in the folder of a new store', () => {
  beforeEach(async () => {
    await mkdir(join(basePath, 'sub'), { recursive: true });
    for (const name of ['a.png', 'sub/b.png']) await writeFile(join(basePath, name), pngOf({ width: 2, height: 2 }));
  });

  const line = () =>
    `2 images in ${basePath} are not in the store; to bring them in: image-storage import ${basePath} --address ${socket}`;

  it('are counted in the log, while stdout has the address alone', async () => {
    const child = serve();
    const stdout: Buffer[] = [];
    child.stdout!.on('data', (chunk) => stdout.push(chunk));
    expect((await logged(logOf(child), ({ folder }) => folder !== undefined)).msg).toBe(line());
    expect(Buffer.concat(stdout).toString()).toBe(`ImageStorage listens on ${socket}\n`);
  });

  it('are not those that the store itself has saved since', async () => {
    const own = join(basePath, 'images/generations/2024-09-27/flux');
    await mkdir(own, { recursive: true });
    await writeFile(join(own, '20240927_141522_flux_abc123.png'), pngOf({ width: 2, height: 2 }));
    await mkdir(join(basePath, 'metadata/staging'), { recursive: true });
    await writeFile(join(basePath, 'metadata/staging/part.png'), '');
    const said: string[] = [];
    await tellOfForeign([basePath], { command: 'image-storage', addressFlag: ` --address ${socket}` }, (each) =>
      said.push(each),
    );
    expect(said).toEqual([line()]);
  });

  requires('script, of util-linux', hasScript)('on a terminal', () => {
    it('are said after the greeting, with the command that brings them in', async () => {
      const words = [process.execPath, COMMAND, ...args('--log-level', 'error')].join(' ');
      const child = spawn('script', ['-qec', `exec ${words}`, '/dev/null'], {
        stdio: ['pipe', 'pipe', 'inherit'],
        env,
      });
      child.stdin.on('error', () => undefined);
      running.push(child);
      let output = '';
      for await (const chunk of child.stdout.setEncoding('utf8')) {
        output += chunk;
        if (output.includes(' import ')) child.stdin.write('\x03');
      }
      const lines = output.replaceAll('\r', '').split('\n');
      expect(lines).toContain(`A new store was made in ${basePath}`);
      expect(lines).toContain(line());
      expect(lines.some((each) => each.startsWith('Save one:  image-storage save '))).toBe(true);
    });
  });
});

it('takes its folder from IMAGE_STORAGE_BASE_PATH', () => {
  const short = { IMAGE_STORAGE_BASE_PATH: '/data/images' };
  expect(loadConfig({ flags: {}, env: short }).providers.local).toMatchObject({ basePath: '/data/images' });
  const both = { ...short, IMAGE_STORAGE_PROVIDERS_LOCAL_BASE_PATH: '/other' };
  expect(() => loadConfig({ flags: {}, env: both })).toThrow('are both set: keep one');
  const inFile = { ...short, IMAGE_STORAGE_PROVIDERS_LOCAL_BASE_PATH_FILE: '/run/secrets/path' };
  expect(() => loadConfig({ flags: {}, env: inFile })).toThrow('are both set: keep one');
});
