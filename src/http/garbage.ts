/**
 * Collects what received bytes and long texts leave behind, when V8 would do it too dearly or too late. It counts the memory
 * of received bytes as a reason to collect the whole heap, every 20 MB, which takes twenty times as long as a look at young
 * objects only, and these are all young.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const COLLECT_EVERY_BYTES = 12 * 1024 * 1024;
/** A whole collection takes as long as reading a megabyte of them. */
const COLLECT_TEXTS_EVERY = 24 * 1024 * 1024;

/** V8's `gc`. */
export type Collect = {
  (options: { type: 'minor' }): void;
  (options: { type: 'major'; execution: 'async'; flavor?: 'last-resort' }): Promise<void>;
};

let collect: Collect | undefined;
let bytes = 0;
let texts = 0;

/** Counts bytes that become garbage soon. */
export function leaveBehind(sizeBytes: number): void {
  bytes += sizeBytes;
  if (bytes < COLLECT_EVERY_BYTES) return;
  bytes = 0;
  collect ??= collector();
  collect({ type: 'minor' });
}

/** Counts characters of texts that become garbage only once they are old. V8 lets four times what lives pile up. */
export function leaveTextsBehind(characters: number): void {
  texts += characters;
  if (texts < COLLECT_TEXTS_EVERY) return;
  texts = 0;
  collect ??= collector();
  void collect({ type: 'major', execution: 'async' });
}

export function collector(): Collect {
  setFlagsFromString('--expose-gc');
  const found = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return found;
}
