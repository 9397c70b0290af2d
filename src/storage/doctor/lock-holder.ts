/** Finds the process that holds the lock of a store, from /proc: opening the file could drop the lock. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { ifPresent } from '../disk/files.ts';

/** SQLite's EXCLUSIVE covers the bytes from 1 GiB on: https://www.sqlite.org/lockingv3.html */
const EXCLUSIVE = /^\d+: POSIX +ADVISORY +WRITE +(-?\d+) ([0-9a-f]+:[0-9a-f]+:\d+) 1073741824 /gm;
/** The device and the mount point of a mount: https://www.kernel.org/doc/html/latest/filesystems/proc.html, 3.5 */
const MOUNT = /^\d+ \d+ (\d+):(\d+) \S+ (\S+) /gm;

/**
 * Returns the id of the process that holds the lock, `nobody`, or `unknown` when the system does not report it (not
 * Linux). Does not see processes of another container.
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

/** Returns the device as /proc/locks writes it, `fe:00`. On Btrfs and overlays `stat` returns another one. */
function deviceOf(path: string, mounts: string): string | undefined {
  const found = [...mounts.matchAll(MOUNT)]
    .map(([, major, minor, point]) => ({ numbers: [major!, minor!], point: unescaped(point!) }))
    .filter(({ point }) => path.startsWith(point.endsWith('/') ? point : `${point}/`));
  // The deepest mount; of several at one mount point the last hides the others.
  const mount = found.toSorted((a, b) => a.point.length - b.point.length).at(-1);
  return mount?.numbers.map((part) => Number(part).toString(16).padStart(2, '0')).join(':');
}

/** Decodes a mount point: spaces and similar characters are written as octal numbers. */
function unescaped(point: string): string {
  return point.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
}
