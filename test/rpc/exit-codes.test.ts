/** What the exit code of `serve` says to whoever supervises it, when it cannot start. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EXIT } from '../../src/exit-codes.ts';
import { COMMAND } from '../support/command.ts';
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts';

let folder: string;
let basePath: string;
let daemon: DaemonProcess;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-exit-'));
  basePath = join(folder, 'outputs');
  daemon = await startDaemonProcess(basePath);
});
afterEach(async () => {
  await stop();
  await rm(folder, { recursive: true });
});

async function stop(): Promise<void> {
  if (daemon.process.exitCode === null) expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
}

/** Fails to start, and says why in one line. */
async function serve({ base = basePath, listen = '127.0.0.1:0' }) {
  const flags = ['--listen', listen, '--base-path', base, '--log-level', 'silent'];
  const env = { ...process.env, IMAGE_STORAGE_PROVIDERS_LOCAL_LOCK_WAIT_SECONDS: '0.1' };
  const child = spawn(process.execPath, [COMMAND, 'serve', ...flags], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const stderr = await text(child.stderr);
  expect(stderr).toMatch(/^image-storage: .+\n$/);
  return { exitCode: await exit, stderr };
}

it('75 when another daemon has the store', async () => {
  expect(await serve({})).toMatchObject({ exitCode: EXIT.LOCKED, stderr: expect.stringContaining('another process') });
});

it.each([
  ['of a newer version', '{"format":"image-storage","version":999,"storeId":"x"}', 'use a newer one'],
  ['damaged', '{"format":"image-st', 'is damaged'],
])('78 when the FORMAT of the store is %s', async (_, format, why) => {
  await stop();
  await writeFile(join(basePath, 'metadata/FORMAT'), format);
  expect(await serve({})).toMatchObject({ exitCode: EXIT.CONFIG, stderr: expect.stringContaining(why) });
});

it('74 when it cannot listen: the port is taken, another daemon has the socket, or a file is in the way', async () => {
  const base = join(folder, 'other');
  const taken = await serve({ base, listen: daemon.address });
  expect(taken).toMatchObject({ exitCode: EXIT.IO, stderr: expect.stringContaining('EADDRINUSE') });

  await stop();
  const socket = `unix:${join(folder, 'socket')}`;
  daemon = await startDaemonProcess(basePath, { listen: socket });
  const inUse = await serve({ base, listen: socket });
  expect(inUse).toMatchObject({ exitCode: EXIT.IO, stderr: expect.stringContaining('another process listens there') });

  const file = join(folder, 'precious');
  await writeFile(file, '');
  const inTheWay = await serve({ base, listen: `unix:${file}` });
  expect(inTheWay).toMatchObject({ exitCode: EXIT.IO, stderr: expect.stringContaining('not a socket') });
});
