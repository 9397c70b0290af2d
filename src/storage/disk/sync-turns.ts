/** Keeps syncs from taking all threads of the pool: what the kernel does at once would wait behind what waits for a disk. */

/** Of the threads that the daemon has, so many stay for other work. */
const AT_ONCE = Number(process.env.SYNC_AT_ONCE ?? 8);

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
