/** What the exit code of `serve` says to whoever supervises it, when it cannot start. */
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EXIT } from '../../src/exit-codes.ts';
import { COMMAND } from '../support/command.ts';
import { type RunningDaemon, runDaemonOver } from '../support/running-daemon.ts';

let folder: string;
let basePath: string;
let daemon: Pick<RunningDaemon, 'address' | 'close'>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-exit-'));
  basePath = join(folder, 'outputs');
  daemon = await runDaemonOver({ flags: { basePath } });
});
afterEach(async () => {
  await daemon.close();
  await rm(folder, { recursive: true });
});

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
  await daemon.close();
  await writeFile(join(basePath, 'metadata/FORMAT'), format);
  expect(await serve({})).toMatchObject({ exitCode: EXIT.CONFIG, stderr: expect.stringContaining(why) });
});

it.skipIf(process.getuid?.() === 0)('77 when its user may not write into the folder (skipped as root)', async () => {
  await chmod(folder, 0o555);
  const { exitCode, stderr } = await serve({ base: join(folder, 'other') });
  await chmod(folder, 0o755);
  expect([exitCode, stderr]).toEqual([EXIT.PERMISSION, expect.stringContaining('cannot be written by this user')]);
});

it('74 when it cannot listen: the port is taken, another daemon has the socket, or a file is in the way', async () => {
  const base = join(folder, 'other');
  const taken = await serve({ base, listen: daemon.address });
  expect(taken).toMatchObject({ exitCode: EXIT.IO, stderr: expect.stringContaining('EADDRINUSE') });

  await daemon.close();
  const socket = `unix:${join(folder, 'socket')}`;
  daemon = await runDaemonOver({ flags: { basePath, listen: [socket] } });
  const inUse = await serve({ base, listen: socket });
  expect(inUse).toMatchObject({ exitCode: EXIT.IO, stderr: expect.stringContaining('another process listens there') });

  const file = join(folder, 'precious');
  await writeFile(file, '');
  const inTheWay = await serve({ base, listen: `unix:${file}` });
  expect(inTheWay).toMatchObject({ exitCode: EXIT.IO, stderr: expect.stringContaining('not a socket') });
});
