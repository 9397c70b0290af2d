/** Finds the process that holds the lock of a store, from /proc: opening the file could drop the lock. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { ifPresent } from './files.ts';
import { mountIn } from './mounts.ts';

/** SQLite's EXCLUSIVE covers the bytes from 1 GiB on: https://www.sqlite.org/lockingv3.html */
const EXCLUSIVE = /^\d+: POSIX +ADVISORY +WRITE +(-?\d+) ([0-9a-f]+:[0-9a-f]+:\d+) 1073741824 /gm;
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
  return mountIn(mounts, path)
    ?.device.map((part) => part.toString(16).padStart(2, '0'))
    .join(':');
}
