/** Follows a folder that a program writes: yields files that are new or changed, once nothing writes them any more. */
import { watch } from 'node:fs';
import { textOf } from '../shared/raw-path.ts';
import { type Found, walk } from '../shared/walk.ts';

/** A file that is the same after so long is settled. */
const SETTLE_MS = 1_000;
/** Network disks and full tables of watches tell of no changes. */
const REST_MS = 30_000;

/** The size and time of each file as it was last handed out, by path. */
export type Seen = Map<string, string>;

export function note(seen: Seen, found: Found): void {
  if (found.kind === 'file') seen.set(found.path, stateOf(found));
}

/** Ends when the signal fires. */
export async function* follow(folder: string, seen: Seen, signal: AbortSignal): AsyncGenerator<Found> {
  const changes = changesOf(folder, signal);
  let waiting: Seen = new Map();
  // The first look finds what came before the watch was set.
  let rest = 0;
  while (!signal.aborted) {
    await changes.next(rest);
    const unsettled: Seen = new Map();
    for await (const found of walk(folder)) {
      if (signal.aborted) return;
      if (found.kind !== 'file') continue;
      const state = stateOf(found);
      if (seen.get(found.path) === state) continue;
      if (waiting.get(found.path) !== state) unsettled.set(found.path, state);
      else {
        seen.set(found.path, state);
        yield found;
      }
    }
    waiting = unsettled;
    rest = waiting.size > 0 ? 0 : REST_MS;
  }
}

function stateOf({ sizeBytes, modifiedAt }: Found & { kind: 'file' }): string {
  return `${sizeBytes} ${modifiedAt}`;
}

/** `next` resolves at the next change, but not before SETTLE_MS, after `ms`, or when the signal fires. */
function changesOf(folder: string, signal: AbortSignal): { next(ms: number): Promise<void> } {
  let changed = Promise.withResolvers<void>();
  try {
    const watcher = watch(textOf(folder), { recursive: true, signal }, () => changed.resolve());
    watcher.on('error', () => undefined);
  } catch {
    // Too many watches, or a name that is no text: the rest between two looks is what is left then.
  }
  return {
    async next(ms) {
      await Promise.race([changed.promise, delay(ms, signal)]);
      changed = Promise.withResolvers<void>();
      await delay(SETTLE_MS, signal);
    },
  };
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
