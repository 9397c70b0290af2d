/** `serve` as a process: whatever its streams, its limits and its signals are, it answers, and it ends when told to. */

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { COMMAND } from '../support/command.ts';
import { filesBelow } from '../support/files.ts';
import { all, chunk, header, outcomeOf, saveAt, storageAt, upload } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { canMountTmpfs, openTmpfs, works } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';
import { OTHER_UID, openFifo, type Served, serve } from '../support/serve-process.ts';

const png = pngOf({ width: 16, height: 16, sizeBytes: 100_000 });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-process-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Each refusal is a line in the log. */
async function refuseSaves({ address }: Served, count: number): Promise<void> {
  const storage = storageAt(address);
  const refuse = () => outcomeOf(storage.save(upload(png, { metadata: { prompt: '\0' } })));
  for (let done = 0; done < count; done += 50) {
    const outcomes = await Promise.all(Array.from({ length: 50 }, refuse));
    expect(new Set(outcomes)).toEqual(new Set(['InvalidArgument FIELD_INVALID metadata.prompt']));
  }
}

async function expectToServe(daemon: Served): Promise<void> {
  await daemon.answers();
  expect(await outcomeOf(storageAt(daemon.address).save(upload(png)))).toBe('OK');
}

/** A Save that ends when it is told to. */
async function beginSave({ address }: Served) {
  const { promise: goOn, resolve: finish } = Promise.withResolvers<void>();
  const requests = (async function* () {
    yield header();
    yield chunk(png.subarray(0, 50_000));
    await goOn;
    yield chunk(png.subarray(50_000));
  })();
  const saved = outcomeOf(storageAt(address).save(requests));
  while ((await filesBelow(join(folder, 'outputs'), 'metadata/staging')).length === 0) await sleep(5);
  return { finish, saved };
}

function socketOf({ address }: Served): string {
  return address.slice('unix:'.length);
}

describe('a stderr that nobody reads', () => {
  it.each(['pipe', 'socket'])('and that is a %s: the daemon answers, and SIGTERM ends it', async (kind) => {
    using fifo = openFifo(folder);
    const stderr = kind === 'pipe' ? fifo.fd : 'pipe';
    await using daemon = serve(folder, { stdio: ['ignore', 'ignore', stderr] });
    await daemon.answers();
    if (kind === 'pipe') fifo.fill();
    await refuseSaves(daemon, 1_500);
    await expectToServe(daemon);
    expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
  });

  it('whose reader is gone', async () => {
    await using daemon = serve(folder, { stdio: ['ignore', 'ignore', 'pipe'] });
    daemon.process.stderr!.destroy();
    await daemon.answers();
    await refuseSaves(daemon, 100);
    await expectToServe(daemon);
    expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
  });

  it('keeps no failed start from its exit code', async () => {
    using fifo = openFifo(folder);
    fifo.fill();
    await writeFile(join(folder, 'outputs'), '');
    await using daemon = serve(folder, { stdio: ['ignore', 'ignore', fifo.fd] });
    expect(await daemon.exited).toBe(EXIT.CONFIG);
  });
});

requires('python3 on Linux', process.platform === 'linux' && works('python3', '--version'))('a terminal', () => {
  /** Runs a command on a terminal whose screen nobody looks at. */
  const ON_TERMINAL = `
import os, pty, sys
screen, terminal = pty.openpty()
os.set_inheritable(screen, True)
for stream in (1, 2): os.dup2(terminal, stream)
os.execvp(sys.argv[1], sys.argv[1:])
`;

  it('that takes nothing more keeps neither an answer nor SIGTERM waiting', async () => {
    await using daemon = serve(folder, { through: ['python3', '-c', ON_TERMINAL] });
    await daemon.answers();
    await refuseSaves(daemon, 500);
    await expectToServe(daemon);
    expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
  });
});

requires('root, to mount a tmpfs', canMountTmpfs)('a log on a full disk', () => {
  it('changes no answer and no exit code, and goes on when there is room', async () => {
    await using disk = await openTmpfs('size=1m');
    const ballast = join(disk.path, 'ballast');
    const path = join(disk.path, 'log');
    const stderr = openSync(path, 'a');
    await using daemon = serve(folder, { stdio: ['ignore', 'ignore', stderr], flags: ['--log-format', 'json'] });
    closeSync(stderr);
    await daemon.answers();
    await writeFile(ballast, Buffer.alloc(1 << 20, 1)).catch(() => {});
    await refuseSaves(daemon, 300);
    await expectToServe(daemon);
    await rm(ballast);
    while (!(await readFile(path, 'utf8')).includes('FIELD_INVALID')) await sleep(100);
    await refuseSaves(daemon, 50);
    expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    const messages = lines.map((line) => JSON.parse(line).msg);
    expect(messages.filter((message) => message === 'call failed')).toHaveLength(350);
    expect(messages.at(-1)).toBe('closed');
  });

  it('does so, too, where the disk stays full', async () => {
    await using disk = await openTmpfs('size=1m');
    await writeFile(join(disk.path, 'ballast'), Buffer.alloc(1 << 20, 1)).catch(() => {});
    const stderr = openSync(join(disk.path, 'log'), 'a');
    await using daemon = serve(folder, { stdio: ['ignore', stderr, stderr] });
    closeSync(stderr);
    await daemon.answers();
    await refuseSaves(daemon, 50);
    await expectToServe(daemon);
    expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
  });

  it('keeps no failed start from its exit code', async () => {
    await using disk = await openTmpfs('size=1m');
    await writeFile(join(disk.path, 'ballast'), Buffer.alloc(1 << 20, 1)).catch(() => {});
    await writeFile(join(folder, 'outputs'), '');
    const stderr = openSync(join(disk.path, 'log'), 'a');
    await using daemon = serve(folder, { stdio: ['ignore', stderr, stderr] });
    closeSync(stderr);
    expect(await daemon.exited).toBe(EXIT.CONFIG);
  });
});

describe('a stdout', () => {
  it('that is closed before the greeting is no reason to end', async () => {
    await using daemon = serve(folder, { stdio: ['ignore', 'pipe', 'inherit'], flags: ['--log-level', 'warn'] });
    daemon.process.stdout!.destroy();
    await expectToServe(daemon);
    expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
  });

  it('that is full is none to wait', async () => {
    using fifo = openFifo(folder);
    fifo.fill();
    await using daemon = serve(folder, { stdio: ['ignore', fifo.fd, 'inherit'], flags: ['--log-level', 'warn'] });
    await expectToServe(daemon);
    expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
  });

  it('that is closed ends a command quietly', async () => {
    await using daemon = serve(folder, { flags: ['--log-level', 'warn'] });
    await daemon.answers();
    for (let saved = 0; saved < 3; saved += 1) await saveAt(daemon.address, png);
    for (const args of [['list', '--json'], ['stats'], ['save', '-']]) {
      const command = spawn(process.execPath, [COMMAND, ...args, '--address', daemon.address]);
      command.stdout.destroy();
      command.stdin.end(png);
      expect(await text(command.stderr)).toBe('');
      expect(command.exitCode ?? (await new Promise((resolve) => command.once('exit', resolve)))).toBe(EXIT.OK);
    }
  });
});

describe('a signal', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s lets a Save finish', async (signal) => {
    await using daemon = serve(folder, { flags: ['--log-level', 'warn'] });
    await daemon.answers();
    const { finish, saved } = await beginSave(daemon);
    const stopped = daemon.stop(signal);
    await sleep(300);
    finish();
    expect(await saved).toBe('OK');
    expect(await stopped).toBe(EXIT.OK);
  });

  it('is followed by shutdownDelaySeconds in which health says NOT_SERVING and calls are accepted', async () => {
    const env = { IMAGE_STORAGE_SHUTDOWN_DELAY_SECONDS: '4' };
    await using daemon = serve(folder, { flags: ['--log-level', 'warn'], env });
    await daemon.answers();
    expect(await daemon.health()).toBe(Status.SERVING);
    const signalledAt = performance.now();
    const stopped = daemon.stop('SIGTERM');
    while ((await daemon.health()) !== Status.NOT_SERVING) await sleep(20);
    expect(await outcomeOf(storageAt(daemon.address).save(upload(png)))).toBe('OK');
    expect(performance.now() - signalledAt).toBeLessThan(3_900);
    expect(await stopped).toBe(EXIT.OK);
    expect(performance.now() - signalledAt).toBeGreaterThan(3_900);
  });
});

requires('Linux', process.platform === 'linux')('a limit of open files', () => {
  const limitedTo = (files: number) => ['sh', '-c', `ulimit -n ${files} && exec "$@"`, 'sh'];

  it('below what the configuration may need is warned of at the start', async () => {
    const stdio = ['ignore', 'ignore', 'pipe'] as const;
    const flags = ['--log-level', 'warn'];
    await using daemon = serve(folder, { stdio: [...stdio], through: limitedTo(1000), flags });
    const log = text(daemon.process.stderr!);
    await expectToServe(daemon);
    expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
    expect(await log).toMatch(/"msg":"the limit of open files is 1000, and .* may need 2256: raise it/);
  });

  it('that is reached asks the callers to come again, and is none of their trouble later', async () => {
    const env = { IMAGE_STORAGE_LIMITS_FIRST_MESSAGE_SECONDS: '600' };
    const flags = ['--log-level', 'fatal'];
    await using daemon = serve(folder, { through: limitedTo(80), flags, env });
    await daemon.answers();
    const storage = storageAt(daemon.address);
    const { filename } = (await storage.save(upload(png))).image!;
    const sockets: Socket[] = [];
    const untilRefused = async (call: () => Promise<unknown>): Promise<ConnectError> => {
      for (;;) {
        for (let opened = 0; opened < 50; opened += 1) sockets.push(connect(socketOf(daemon)).on('error', () => {}));
        const refused = await call().then(() => undefined, ConnectError.from);
        if (refused !== undefined) return refused;
      }
    };
    for (const call of [() => storage.save(upload(png)), () => all(storage.get({ filename }))]) {
      const refused = await untilRefused(call);
      expect(await outcomeOf(Promise.reject(refused))).toBe('ResourceExhausted TOO_MANY_OPEN_FILES');
      expect(refused.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 1n } }]);
    }
    for (const socket of sockets) socket.destroy();
    while ((await outcomeOf(storage.save(upload(png)))) !== 'OK') await sleep(50);
    expect(await outcomeOf(storage.get({ filename }))).toBe('OK');
    expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
  });
});

/** Root may write everywhere: another user runs the daemon then. */
const uid = process.getuid?.() === 0 ? OTHER_UID : process.getuid?.();

requires('users', uid !== undefined)('a folder that the user of the daemon may not write', () => {
  const stdio = ['ignore', 'ignore', 'pipe'] as const;
  const start = (flags: string[] = []) => serve(folder, { stdio: [...stdio], uid: uid!, flags });
  beforeEach(() => chown(folder, uid!, uid!));

  it.each(['metadata/staging', 'images/generations'])('turns health NOT_SERVING, and back (%s)', async (place) => {
    await using daemon = start(['--log-level', 'warn', '--log-format', 'json']);
    const log = text(daemon.process.stderr!);
    await expectToServe(daemon);
    const path = join(folder, 'outputs', place);
    await rm(join(path, new Date().toISOString().slice(0, 10)), { recursive: true, force: true });
    await chmod(path, 0o500);
    expect(await daemon.health()).toBe(Status.SERVING);
    const save = () => outcomeOf(storageAt(daemon.address).save(upload(png)));
    expect(await save()).toBe('Internal STORAGE_IO');
    while ((await daemon.health()) !== Status.NOT_SERVING) await sleep(50);
    await chmod(path, 0o700);
    while ((await daemon.health()) !== Status.SERVING) await sleep(50);
    expect(await save()).toBe('OK');
    expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
    expect(await log).toMatch(/"msg":"the disk takes no writes;.*\n.*"msg":"the disk takes writes again"/);
  });

  it.each([
    { at: 'outputs', what: 'the folder itself', file: 'outputs/metadata' },
    { at: 'outputs/metadata/lock.db', what: 'the lock', file: 'outputs/metadata/lock.db' },
    { at: 'outputs/metadata/catalog.db', what: 'the catalog', file: 'outputs/metadata/catalog.db' },
  ])('ends a start with 77, and names $what, the user and what to do', async ({ at, file }) => {
    if (at === 'outputs') await mkdir(join(folder, at));
    else {
      await using before = start();
      await before.answers();
      expect(await before.stop('SIGTERM')).toBe(EXIT.OK);
    }
    await chmod(join(folder, at), 0o400);
    await using daemon = start(['--log-level', 'silent']);
    const [code, stderr] = await Promise.all([daemon.exited, text(daemon.process.stderr!)]);
    await chmod(join(folder, at), 0o700);
    const root = join(folder, 'outputs');
    const fix = `sudo mkdir -p ${root} && sudo chown -R ${uid} ${root}, or change basePath`;
    const why = `${join(folder, file)} cannot be written by this user (uid ${uid}): ${fix}`;
    expect({ code, stderr }).toEqual({ code: EXIT.PERMISSION, stderr: `image-storage: providers.local: ${why}\n` });
  });
});

describe('fileMode', () => {
  it.each([
    { fileMode: '0640', umask: '077', files: '640', folders: '750' },
    { fileMode: '0600', umask: '022', files: '600', folders: '700' },
    { fileMode: '', umask: '022', files: '644', folders: '755' },
  ])('"$fileMode" under umask $umask gives $files and $folders', async ({ fileMode, umask, files, folders }) => {
    const through = ['sh', '-c', `umask ${umask} && exec "$@"`, 'sh'];
    const env = { IMAGE_STORAGE_PROVIDERS_LOCAL_FILE_MODE: fileMode };
    await using daemon = serve(folder, { through, env, flags: ['--log-level', 'warn'] });
    await expectToServe(daemon);
    // Its end has the record in its place.
    expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
    const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
    const outputs = join(folder, 'outputs');
    for (const tree of ['images', 'metadata/generations']) {
      const [path] = await filesBelow(outputs, tree);
      expect(await modeOf(join(outputs, path!))).toBe(files);
      for (let above = dirname(path!); above !== '.'; above = dirname(above)) {
        expect([above, await modeOf(join(outputs, above))]).toEqual([above, folders]);
      }
    }
  });
});

const canStrace = works('strace', '-V') && process.getuid?.() === 0;

requires('strace and the right to trace', canStrace)('a socket whose permissions cannot be set', () => {
  const failing = (error: string) => [
    'strace',
    '-D',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    '-e',
    `inject=chmod,fchmodat:error=${error}`,
  ];

  it('ends the start with 77', async () => {
    const stdio = ['ignore', 'ignore', 'pipe'] as const;
    await using daemon = serve(folder, {
      stdio: [...stdio],
      through: failing('EPERM'),
      flags: ['--log-level', 'silent'],
    });
    const [code, stderr] = await Promise.all([daemon.exited, text(daemon.process.stderr!)]);
    expect({ code, stderr }).toEqual({
      code: EXIT.PERMISSION,
      stderr: expect.stringMatching(/^image-storage: cannot listen on unix:.*: EPERM: .*\n$/),
    });
    expect(await filesBelow(folder, '')).not.toContain('socket');
  });

  it.each(['EINVAL', 'EOPNOTSUPP'])('serves with a warning where the file system has none (%s)', async (error) => {
    const stdio = ['ignore', 'ignore', 'pipe'] as const;
    await using daemon = serve(folder, { stdio: [...stdio], through: failing(error), flags: ['--log-level', 'warn'] });
    const log = text(daemon.process.stderr!);
    await expectToServe(daemon);
    expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
    expect(await log).toContain('socketMode cannot be set');
  });
});
