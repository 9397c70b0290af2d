/** A folder in memory for the temporary folders of a run, where the machine has it to spare. */
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, statfs } from 'node:fs/promises';

const SHARED_MEMORY = '/dev/shm';
/** Of tmpfs, see statfs(2). */
const TMPFS_MAGIC = 0x01021994;
const GIB = 1 << 30;
/** A run needs a tenth of it. */
const LEAST_BYTES = 2 * GIB;

/** Returns its path; undefined where there is too little, and where all rounds are run, which are for disks. */
export async function openMemoryFolder(): Promise<string | undefined> {
  if (process.env.TEST_FULL === '1' || !(await hasMemory())) return undefined;
  const folder = await mkdtemp(`${SHARED_MEMORY}/image-storage-tests-`);
  await chmod(folder, 0o1777);
  return folder;
}

/** Containers often have 64 MB, from which nothing can be run. */
async function hasMemory(): Promise<boolean> {
  if (process.platform !== 'linux' || process.availableMemory() < 2 * LEAST_BYTES) return false;
  const mount = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find((line) => line.split(' ')[1] === SHARED_MEMORY);
  if (mount === undefined || /\b(ro|noexec)\b/.test(mount.split(' ')[3]!)) return false;
  const { type, bavail, bsize } = await statfs(SHARED_MEMORY);
  return type === TMPFS_MAGIC && bavail * bsize >= LEAST_BYTES;
}
