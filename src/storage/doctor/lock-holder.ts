/** Who has the lock of a store, as the kernel tells: the file is not opened, which could drop the lock, nor locked. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { ifPresent } from '../disk/files.ts';

/** SQLite's EXCLUSIVE covers the bytes from 1 GiB on: https://www.sqlite.org/lockingv3.html */
const EXCLUSIVE = /^\d+: POSIX +ADVISORY +WRITE +(-?\d+) ([0-9a-f]+:[0-9a-f]+:\d+) 1073741824 /gm;
/** The device and the place of a mount: https://www.kernel.org/doc/html/latest/filesystems/proc.html, 3.5 */
const MOUNT = /^\d+ \d+ (\d+):(\d+) \S+ (\S+) /gm;

/**
 * The id of the process that has the lock, `nobody`, or `unknown` where the system does not tell (it is not Linux).
 * Processes of another container are not seen.
 */
export async function lockHolder(path: string): Promise<number | 'nobody' | 'unknown'> {
  const [locks, mounts] = await Promise.all(['locks', 'self/mountinfo'].map(readProc));
  if (locks === undefined || mounts === undefined) return 'unknown';
  const [file, place] = await Promise.all([ifPresent(stat(path, { bigint: true })), ifPresent(realpath(path))]);
  if (file === undefined || place === undefined) return 'nobody';
  const identity = `${deviceOf(place, mounts)}:${file.ino}`;
  const held = [...locks.matchAll(EXCLUSIVE)].find(([, , locked]) => locked === identity);
  return held === undefined ? 'nobody' : Number(held[1]);
}

function readProc(name: string): Promise<string | undefined> {
  return ifPresent(readFile(`/proc/${name}`, 'utf8'));
}

/** `fe:00`, as /proc/locks writes it. On Btrfs and overlays `stat` tells another one. */
function deviceOf(path: string, mounts: string): string | undefined {
  const found = [...mounts.matchAll(MOUNT)]
    .map(([, major, minor, point]) => ({ numbers: [major!, minor!], point: unescaped(point!) }))
    .filter(({ point }) => path.startsWith(point.endsWith('/') ? point : `${point}/`));
  // The deepest; of several on one place the last hides the others.
  const mount = found.toSorted((a, b) => a.point.length - b.point.length).at(-1);
  return mount?.numbers.map((part) => Number(part).toString(16).padStart(2, '0')).join(':');
}

/** Spaces and the like are written as octal numbers. */
function unescaped(point: string): string {
  return point.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
}
