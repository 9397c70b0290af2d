/** Small file systems of their own for a test: on a loop device that can lose its power, in memory that can fill up, over SFTP. */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, rmdir, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SFTP_SERVER = '/usr/lib/openssh/sftp-server';
const DISK_BYTES = 512 * 1024 * 1024;

/** `EXT4_IOC_SHUTDOWN`, the same number on XFS; 2 drops even the log that was not flushed. Prints the moment before. */
const SHUT_DOWN = `
import fcntl, os, sys, time
folder = os.open(sys.argv[1], os.O_RDONLY)
print(time.monotonic_ns(), flush=True)
fcntl.ioctl(folder, 0x8004587D, (2).to_bytes(4, 'little'))
`;

/** As a disk of its own has it: the folders of an overlay may not lie on every file system. */
const MOUNT_OVERLAY = `
mount -t tmpfs none /mnt && cd /mnt && mkdir lower upper work merged &&
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work,xino=off none merged
`;

export type FileSystem = 'ext4' | 'xfs';

export interface Mount extends AsyncDisposable {
  readonly path: string;
}

export interface Disk extends Mount {
  /** Loses everything that was not synced; resolves with the moment (`process.hrtime.bigint()`) just before. */
  cutPower(): Promise<bigint>;
  /** Unmounts and mounts again, as a machine that starts: nothing is left in any cache. */
  restart(): Promise<void>;
}

/** Whether this user may mount, with loop devices there. */
export const canMountLoop: boolean = canMount() && existsSync('/dev/loop-control') && works('python3', '--version');
export const canMountTmpfs: boolean = canMount();
export const canMountOverlay: boolean = canMountTmpfs && works('unshare', '--mount', 'sh', '-c', MOUNT_OVERLAY);

/** Whether the kernel has FUSE; nothing that can be installed brings it. */
export const hasFuse: boolean = canMount() && existsSync('/dev/fuse');
export const hasSshfs: boolean = works('sshfs', '-V') && existsSync(SFTP_SERVER);

export function hasMkfs(type: FileSystem): boolean {
  return works(`mkfs.${type}`, '-V');
}

function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  // Root in a container may lack the capability: try it in a mount namespace that ends with the command.
  return works('unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt');
}

export function works(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** A disk of its own that can lose its power. */
export async function openDisk(type: FileSystem, sizeBytes = DISK_BYTES): Promise<Disk> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-disk-'));
  const [image, path] = [join(folder, 'disk.img'), join(folder, 'mounted')];
  await writeFile(image, '');
  await truncate(image, sizeBytes);
  await run(`mkfs.${type}`, ['-q', image]);
  const mount = () => run('mount', ['--mkdir', '-o', 'loop', image, path]);
  await mount();
  const unmount = unmountAtExit(path);
  return {
    path,
    async cutPower() {
      const { stdout } = await run('python3', ['-S', '-E', '-c', SHUT_DOWN, path]);
      return BigInt(stdout.trim());
    },
    async restart() {
      await run('umount', [path]);
      await mount();
    },
    async [Symbol.asyncDispose]() {
      unmount();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A file system in memory; `options` as in mount(8), such as `size=24m`. */
export async function openTmpfs(options: string): Promise<Mount> {
  return mountAt('image-storage-tmpfs-', ['-t', 'tmpfs', '-o', options, 'none']);
}

/** The folder at another path, as a container or a share has it. */
export async function openBind(folder: string): Promise<Mount> {
  return mountAt('image-storage-bind-', ['--bind', folder]);
}

/** Takes the arguments of mount(8) but for the folder, which it makes and removes. */
async function mountAt(prefix: string, args: readonly string[]): Promise<Mount> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  await run('mount', [...args, path]);
  const unmount = unmountAtExit(path);
  return {
    path,
    async [Symbol.asyncDispose]() {
      unmount();
      await rmdir(path);
    },
  };
}

/** Mounts a folder over SFTP, whose server runs here: no network takes part. */
export async function openSshfs(folder: string): Promise<Mount> {
  const parent = await mkdtemp(join(tmpdir(), 'image-storage-sshfs-'));
  const [path, command] = [join(parent, 'mounted'), join(parent, 'ssh')];
  await mkdir(path);
  await writeFile(command, `#!/bin/sh\nexec ${SFTP_SERVER}\n`, { mode: 0o755 });
  await run('sshfs', ['-o', `ssh_command=${command}`, `here:${folder}`, path]);
  const unmount = unmountAtExit(path);
  return {
    path,
    async [Symbol.asyncDispose]() {
      unmount();
      await rm(parent, { recursive: true, force: true });
    },
  };
}

/** Returns the unmount; one that a failing run never calls happens as the process ends. */
function unmountAtExit(path: string): () => void {
  const unmount = () => {
    process.off('exit', unmount);
    try {
      execFileSync('umount', [path], { stdio: 'ignore' });
    } catch {
      spawnSync('umount', ['--lazy', path]);
    }
  };
  process.on('exit', unmount);
  return unmount;
}
