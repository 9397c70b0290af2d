/** Keeps syncs from taking all threads of the pool: what the kernel does at once would wait behind what waits for a disk. */

/** The daemon's pool has 12 threads. */
const AT_ONCE = 8;

const waiting: (() => void)[] = [];
let running = 0;

/** Runs a sync, or any work that waits for the disk, once fewer than so many run. */
export async function syncInTurn<T>(sync: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    return await sync();
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}
