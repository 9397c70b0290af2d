/** Examines the file system of a folder: local or remote, hard links, free space. */
import { link, statfs, writeFile } from 'node:fs/promises';
import { StorageError, StoreOpenError } from '../domain/errors.ts';
import { hasCode, ifPresent, unlinkIfPresent } from './files.ts';
import { mountOf, remoteByFuse } from './mounts.ts';

/** How long a measurement of the free space is reused. */
const FRESH_MS = 100;

/** statfs(2) magic numbers of file systems on which locks and fsync are not reliable. */
const REMOTE = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0x01021997, '9p'],
]);
const FUSE = 0x65735546;
const IN_MEMORY = new Set([0x01021994, 0x858458f6]);

/**
 * Returns the kind of file system, as far as Linux reports it; `disk` elsewhere. Throws a StoreOpenError `config` for a
 * network file system.
 */
export async function checkLocal(path: string): Promise<'disk' | 'fuse' | 'memory'> {
  if (process.platform !== 'linux') return 'disk';
  const { type } = await statfs(path);
  const remote = REMOTE.get(type) ?? (type === FUSE ? await remoteFuseOf(path) : undefined);
  if (remote !== undefined) {
    throw new StoreOpenError(
      'config',
      `${path} is on ${remote}, where locks and fsync cannot be relied on; mount a local disk there`,
    );
  }
  if (IN_MEMORY.has(type)) return 'memory';
  return type === FUSE ? 'fuse' : 'disk';
}

async function remoteFuseOf(path: string): Promise<string | undefined> {
  const mount = await mountOf(path);
  return mount && remoteByFuse(mount);
}

/** Makes a hard link and removes both names again. Throws a StoreOpenError `config` when no hard link can be made. */
export async function checkLinks(basePath: string, from: string, to: string): Promise<void> {
  await Promise.all([from, to].map(unlinkIfPresent));
  try {
    await writeFile(from, '', { flag: 'wx' });
    await link(from, to);
  } catch (error) {
    if (!hasCode(error, 'EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK')) throw error;
    const message = `${basePath}: images and metadata must lie on one file system with hard links; mount the folder as a whole`;
    throw new StoreOpenError('config', message, { cause: error });
  } finally {
    await Promise.all([from, to].map(unlinkIfPresent));
  }
}

/** Returns size and free space of the file system, as this user sees it; neither when the path does not exist. */
export async function capacityOf(path: string): Promise<{ capacityBytes?: number; freeBytes?: number }> {
  const stats = await ifPresent(statfs(path));
  return stats ? { capacityBytes: stats.blocks * stats.bsize, freeBytes: stats.bavail * stats.bsize } : {};
}

/**
 * Returns a check that rejects with DISK_FULL and the message unless the file system has room for `sizeBytes` and
 * `headroomBytes` more, once `makeRoom` has none to give: it returns whether it had. Saves that begin together share one
 * measurement, since the write itself decides. Resolves when the path does not exist.
 */
export function spaceCheck(
  path: string,
  headroomBytes: number,
  message: string,
  makeRoom: () => Promise<boolean>,
): (sizeBytes: number) => Promise<void> {
  let last: { at: number; freeBytes: Promise<number> } | undefined;
  const measure = () => {
    const freeBytes = capacityOf(path).then((capacity) => capacity.freeBytes ?? Number.POSITIVE_INFINITY);
    last = { at: performance.now(), freeBytes };
    return freeBytes;
  };
  return async (sizeBytes) => {
    const isFresh = last !== undefined && performance.now() - last.at <= FRESH_MS;
    let freeBytes = await (isFresh ? last!.freeBytes : measure());
    const wanted = sizeBytes + headroomBytes;
    if (freeBytes < wanted && (await makeRoom())) freeBytes = await measure();
    if (freeBytes < wanted) throw new StorageError('DISK_FULL', message);
  };
}
