/** Something that is read from files, and read again when one of them changes. */
import { stat } from 'node:fs/promises';

const LOOK_EVERY_MS = 1_000;

export interface ReloadedOptions<T> {
  paths: readonly string[];
  /** Throws where what the files have cannot be used. */
  load(): Promise<T>;
  /** Called with what was loaded again. */
  onLoad(loaded: T): void;
  /** Called where that failed: what was loaded before stays. */
  onBad(error: Error): void;
  lookEveryMs?: number;
}

export interface Reloaded<T> {
  readonly current: T;
  /** Ends the looking; what was loaded stays. */
  close(): void;
}

/** Rejects where it cannot be loaded now. */
export async function openReloaded<T>(options: ReloadedOptions<T>): Promise<Reloaded<T>> {
  const { paths, load, onLoad, onBad, lookEveryMs = LOOK_EVERY_MS } = options;
  // Before they are read: a change in between is seen.
  let seen = await stateOf(paths);
  let current = await load();
  let isLooking = false;
  const look = async () => {
    const state = await stateOf(paths);
    if (state === seen) return;
    seen = state;
    try {
      current = await load();
      onLoad(current);
    } catch (error) {
      onBad(error as Error);
    }
  };
  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    look().finally(() => {
      isLooking = false;
    });
  }, lookEveryMs).unref();
  return {
    get current() {
      return current;
    },
    close: () => clearInterval(timer),
  };
}

/** Of what a name leads to, also where it is a link, as in a secret that Kubernetes mounts. */
async function stateOf(paths: readonly string[]): Promise<string> {
  const states = await Promise.all(
    paths.map(async (path) => {
      const stats = await stat(path, { bigint: true }).catch(() => undefined);
      return stats && [stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':');
    }),
  );
  return states.join();
}
