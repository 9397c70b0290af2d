/** A daemon whose disk refuses every write for a while: health says so, and serves again without a restart. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { untilNothingIsStaged } from '../support/files.ts';
import { outcomeOf, storageAt, upload } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { canMountTmpfs, works } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';
import { type Served, serve } from '../support/serve-process.ts';

const png = pngOf({ width: 16, height: 16, sizeBytes: 100_000 });
/** The bound that is promised; what is usual is a second. */
const WITHIN_MS = 60_000;

/** Breaks the disk below the folder of a store and repairs it. */
type Break = (basePath: string, daemon: Served) => Promise<() => Promise<void>>;

const readOnly: Break = async (basePath) => {
  // A mount of its own over the folder that each save writes to first, as `errors=remount-ro` leaves the whole disk.
  const staging = join(basePath, 'metadata/staging');
  const run = (...command: string[]) => expect([command, works('mount', ...command)]).toEqual([command, true]);
  run('--bind', staging, staging);
  run('-o', 'remount,bind,ro', staging);
  return async () => void expect(works('umount', staging)).toBe(true);
};

const failingSyncs: Break = async (_, daemon) => {
  const calls = 'fsync,fdatasync';
  const flags = ['-f', '-p', String(daemon.process.pid), '-o', '/dev/null', '-e', `inject=${calls}:error=EIO`];
  const strace = spawn('strace', flags);
  await new Promise<void>((resolve, reject) => {
    strace.once('exit', () => reject(new Error('strace could not attach')));
    strace.stderr.on('data', (text) => String(text).includes('attached') && resolve());
  });
  return async () => {
    strace.kill();
    await once(strace, 'exit');
  };
};

async function untilHealthSays(status: Status, daemon: Served): Promise<void> {
  const giveUpAt = Date.now() + WITHIN_MS;
  while ((await daemon.health()) !== status) {
    expect(Date.now(), `health does not become ${status}`).toBeLessThan(giveUpAt);
    await sleep(50);
  }
}

async function expectHealthToFollow(answer: string, breakDisk: Break): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-failing-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await using daemon = serve(folder, { flags: ['--log-level', 'silent'] });
  await daemon.answers();
  const basePath = join(folder, 'outputs');
  const save = () => outcomeOf(storageAt(daemon.address).save(upload(png)));
  expect(await save()).toBe('OK');
  await untilNothingIsStaged(basePath);
  const repair = await breakDisk(basePath, daemon);
  try {
    expect(await save()).toBe(answer);
    await untilHealthSays(Status.NOT_SERVING, daemon);
  } finally {
    await repair();
  }
  await untilHealthSays(Status.SERVING, daemon);
  expect(await save()).toBe('OK');
  expect(await daemon.stop('SIGTERM')).toBe(EXIT.OK);
}

requires('root, to mount', canMountTmpfs)('a disk that is read-only (EROFS)', () => {
  it(
    'turns health NOT_SERVING, and back',
    () => expectHealthToFollow('FailedPrecondition STORE_READ_ONLY', readOnly),
    2 * WITHIN_MS,
  );
});

const canStrace = spawnSync('strace', ['-V']).status === 0 && process.getuid?.() === 0;
requires('strace and the right to attach it', canStrace)('a disk that fails (EIO)', () => {
  it(
    'turns health NOT_SERVING, and back',
    () => expectHealthToFollow('Internal STORAGE_IO', failingSyncs),
    2 * WITHIN_MS,
  );
});
