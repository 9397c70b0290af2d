/** What a start says: who has the store, that a store is new, and that images lie beside it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { type Daemon, startDaemon } from '../../src/daemon.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { createLogger } from '../../src/logging.ts';
import { COMMAND } from '../support/command.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { hasScript } from '../support/terminal.ts';

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

/** The first line of the log for which the test holds. */
async function logged(child: ChildProcess, test: (line: Record<string, unknown>) => boolean) {
  for await (const line of createInterface({ input: child.stderr! })) {
    if (line.startsWith('{') && test(JSON.parse(line))) return JSON.parse(line);
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
    const first = await start({ IMAGE_STORAGE_SHUTDOWN_DELAY_SECONDS: '2' });
    const closed = first.close();
    const child = serve();
    const { msg, pid } = await logged(child, ({ path }) => path !== undefined);
    expect(msg).toBe('another process has the store open: waiting for it (lockWaitSeconds)');
    if (process.platform === 'linux') expect(pid).toBe(process.pid);
    await closed;
    const { stores } = await logged(child, (line) => line.msg === 'listening');
    expect(stores).toEqual({ local: basePath });
  });
});

describe('images of another program in the folder of a new store', () => {
  beforeEach(async () => {
    await mkdir(join(basePath, 'sub'), { recursive: true });
    for (const name of ['a.png', 'sub/b.png']) await writeFile(join(basePath, name), pngOf({ width: 2, height: 2 }));
  });

  const line = () => `2 images in ${basePath} are not in the store; to bring them in: image-storage import ${basePath}`;

  it('are counted in the log, while stdout has the address alone', async () => {
    const child = serve();
    const stdout: Buffer[] = [];
    child.stdout!.on('data', (chunk) => stdout.push(chunk));
    expect((await logged(child, ({ folder }) => folder !== undefined)).msg).toBe(line());
    expect(Buffer.concat(stdout).toString()).toBe(`ImageStorage listens on ${socket}\n`);
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
