/** `image-storage copy` that comes to no end: what people and scripts are told, and that the next run goes on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';
import { connect } from '../../src/client.ts';
import { EXIT } from '../../src/exit-codes.ts';
import type { ProviderSettings } from '../../src/storage/index.ts';
import { handsOnFolder } from '../support/behind-the-back.ts';
import { COMMAND } from '../support/command.ts';
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts';
import { pngOf } from '../support/images.ts';
import { canMountTmpfs, openTmpfs } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';
import { requestsOf, type S3FaultServer, startS3FaultServer } from '../support/s3-fault-server.ts';

const IMAGES = 6;
const IMAGE_BYTES = 1_000_000;
const INTERRUPTED = 130;
const MORE = 'image-storage: run it again for the rest\n';

/** A daemon with images in its provider `local`. */
async function startWithImages(target: Record<string, ProviderSettings>, folder: string): Promise<DaemonProcess> {
  const config = join(folder, 'config.json');
  const local = { type: 'local', basePath: join(folder, 'local') };
  await writeFile(config, JSON.stringify({ defaultProvider: 'local', providers: { local, ...target } }));
  const daemon = await startDaemonProcess(undefined, { flags: ['--config', config] });
  onTestFinished(async () => {
    if (daemon.process.exitCode === null && daemon.process.signalCode === null) await daemon.stop('SIGTERM');
  });
  const client = connect(daemon.address);
  for (let seed = 0; seed < IMAGES; seed += 1) {
    await client.save(pngOf({ width: 8, height: 8, sizeBytes: IMAGE_BYTES, seed }), { model: 'flux' });
  }
  client.close();
  return daemon;
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-stop-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The oldest image has lost its bytes. */
async function withBucket(): Promise<{ server: S3FaultServer; daemon: DaemonProcess }> {
  const folder = await newFolder();
  const server = await startS3FaultServer();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const bucket = { ...server.settings, stateDir: join(folder, 'state') };
  const daemon = await startWithImages({ bucket }, folder);
  const client = connect(daemon.address);
  let oldest = '';
  for await (const { key } of client.list()) oldest = key;
  client.close();
  await handsOnFolder(join(folder, 'local')).remove(oldest);
  return { server, daemon };
}

/** One after the other, so that it is known which has come how far. */
function begin(daemon: DaemonProcess, to: string, ...flags: string[]) {
  const command = ['copy', '--from', 'local', '--to', to, '--concurrency', '1', '--address', daemon.address, ...flags];
  const child: ChildProcess = spawn(process.execPath, [COMMAND, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  const end = Promise.all([text(child.stdout!), text(child.stderr!), exited]).then(([stdout, stderr, exitCode]) => ({
    stdout,
    stderr,
    exitCode,
  }));
  return { child, end };
}

requires('root, to mount a tmpfs', canMountTmpfs)('a full disk', () => {
  it('of the target is told by its name, with what was copied until then', async () => {
    await using disk = await openTmpfs('size=5m');
    const small = { type: 'local' as const, basePath: join(disk.path, 'outputs') };
    const daemon = await startWithImages({ small }, await newFolder());
    const { stdout, stderr, exitCode } = await begin(daemon, 'small').end;
    const [, copied] = /^copied (\d) images?, .+ MB\n$/.exec(stdout) ?? [];
    expect(Number(copied)).toBeGreaterThan(0);
    expect(stderr).toBe(`image-storage: stopped: small: the disk of the store is full\n${MORE}`);
    expect(exitCode).toBe(EXIT.IO);
    const again = await begin(daemon, 'small', '--json').end;
    const summary = { copied: 0, copiedBytes: 0, present: Number(copied), failed: 0, deleted: 0, dryRun: false };
    expect(JSON.parse(again.stdout)).toEqual({ summary: { ...summary, complete: false } });
    expect(again).toMatchObject({ stderr, exitCode: EXIT.IO });
    await daemon.stop('SIGTERM');
  });
});

it.each([
  ['interrupted', INTERRUPTED, (child: ChildProcess, _: DaemonProcess) => child.kill('SIGINT'), 'interrupted'],
  ['cut off', EXIT.UNAVAILABLE, (_: ChildProcess, daemon: DaemonProcess) => daemon.stop('SIGKILL'), 'cannot reach'],
])('says how far it was when it is %s', async (_, exitCode, stop, why) => {
  const { server, daemon } = await withBucket();
  const stalled = server.breakNext('stall', requestsOf('images', 'PUT'));
  const { child, end } = begin(daemon, 'bucket');
  // What it says of the first image tells that it knows of the run; where the stall is tells only of the daemon.
  await Promise.all([stalled, once(child.stderr!, 'data')]);
  await stop(child, daemon);
  const ended = await end;
  const stopped = `image-storage: stopped after [01] of 6 images: ${why}.*\\n${MORE}`;
  expect(ended.stderr).toMatch(new RegExp(`^image-storage: \\S+\\.png: .*\\n${stopped}$`));
  expect(ended).toMatchObject({ stdout: '', exitCode });
  server.dropConnections();
});
