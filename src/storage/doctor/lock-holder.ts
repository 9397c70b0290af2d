/** Who has the lock of a store, as the kernel tells: the file is not opened, which could drop the lock, nor locked. */
import { readFile, stat } from 'node:fs/promises';
import { ifPresent } from '../local/files.ts';

/** SQLite's EXCLUSIVE covers the bytes from 1 GiB on: https://www.sqlite.org/lockingv3.html */
const EXCLUSIVE = /^\d+: POSIX +ADVISORY +WRITE +(-?\d+) ([0-9a-f]+:[0-9a-f]+:\d+) 1073741824 /gm;

/**
 * The id of the process that has the lock, `nobody`, or `unknown` where the system does not tell (it is not Linux).
 * Processes of another container are not seen.
 */
export async function lockHolder(path: string): Promise<number | 'nobody' | 'unknown'> {
  const locks = await ifPresent(readFile('/proc/locks', 'utf8'));
  if (locks === undefined) return 'unknown';
  const file = await ifPresent(stat(path, { bigint: true }));
  if (file === undefined) return 'nobody';
  const identity = `${deviceName(file.dev)}:${file.ino}`;
  const held = [...locks.matchAll(EXCLUSIVE)].find(([, , locked]) => locked === identity);
  return held === undefined ? 'nobody' : Number(held[1]);
}

/** `fe:00`, as /proc/locks writes it; the bits are those of makedev(3). */
function deviceName(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn);
  return [major, minor].map((part) => part.toString(16).padStart(2, '0')).join(':');
}
