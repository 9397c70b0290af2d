/**
 * Collects what received bytes leave behind. V8 counts their memory as a reason to collect the whole heap, every 20 MB,
 * which takes twenty times as long as a look at young objects only, and these are all young.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const COLLECT_EVERY_BYTES = 12 * 1024 * 1024;

/** V8's `gc`. */
export type Collect = {
  (options: { type: 'minor' }): void;
  (options: { type: 'major'; execution: 'async'; flavor: 'last-resort' }): Promise<void>;
};

let collect: Collect | undefined;
let bytes = 0;

/** Counts bytes that become garbage soon. */
export function leaveBehind(sizeBytes: number): void {
  bytes += sizeBytes;
  if (bytes < COLLECT_EVERY_BYTES) return;
  bytes = 0;
  collect ??= collector();
  collect({ type: 'minor' });
}

export function collector(): Collect {
  setFlagsFromString('--expose-gc');
  const found = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return found;
}
