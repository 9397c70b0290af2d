/** The process that decodes: takes orders and bytes from the daemon, and gives previews back. */
import { readdirSync, writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import type Sharp from 'sharp';
import type { Decoded, DecodeOrder, FromWorker, ToWorker } from './messages.ts';
import { reduce } from './reduce.ts';
import { heldSource, UnreadError, withFile } from './source-file.ts';

/** A decoder that takes more is ended: its image lies about its size. */
const MAX_RESIDENT_BYTES = 330 * 1024 * 1024;
const LOOK_MS = 20;
/** Where memory runs short, the kernel ends this process before the daemon. */
const OOM_SCORE = '800';

/** An image that arrives. */
interface Arriving {
  order: DecodeOrder;
  bytes: Buffer;
  received: number;
}

const arriving = new Map<number, Arriving>();
let decoding = 0;
let watch: NodeJS.Timeout | undefined;

stepBack();
// Whoever asked is gone: not even a decoder that is at work keeps this process.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
const sharp = await loadSharp();
if (sharp !== undefined) {
  // What one image has left is of no use for another.
  sharp.cache(false);
  sharp.concurrency(1);
  process.on('message', (message) => take(message as ToWorker));
  tell({ kind: 'ready' });
}

/** Lets others go first, with all its threads: each has a priority of its own, which those that it starts inherit. */
function stepBack(): void {
  if (process.platform !== 'linux') return;
  try {
    for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), constants.priority.PRIORITY_LOW);
    writeFileSync('/proc/self/oom_score_adj', OOM_SCORE);
  } catch {
    // It works without.
  }
}

/** Returns undefined, and says so, where sharp is not installed: it is native, so that it is not part of the bundle. */
async function loadSharp(): Promise<typeof Sharp | undefined> {
  // The bundler does not follow a variable.
  const specifier = 'sharp';
  try {
    return (await import(specifier)).default;
  } catch (error) {
    tell({ kind: 'unable', why: whyOf(error) });
    return undefined;
  }
}

function take(message: ToWorker): void {
  const { id } = message;
  if (message.kind === 'order') {
    const { order } = message;
    const bytes = Buffer.allocUnsafeSlow(order.path === undefined ? order.sizeBytes : 0);
    arriving.set(id, { order, bytes, received: 0 });
    return;
  }
  const image = arriving.get(id);
  if (image === undefined) return;
  if (message.kind === 'bytes') {
    image.bytes.set(message.bytes, image.received);
    image.received += message.bytes.length;
    return;
  }
  arriving.delete(id);
  if (message.kind === 'decode') void answer(id, image);
}

async function answer(id: number, { order, bytes }: Arriving): Promise<void> {
  decoding += 1;
  watch ??= setInterval(endIfTooLarge, LOOK_MS);
  try {
    const decoded = await decode(order, bytes);
    tell({ kind: 'decoded', id, decoded, residentBytes: process.memoryUsage.rss() });
  } catch (error) {
    tell({ kind: 'failed', id, why: whyOf(error), isUnread: error instanceof UnreadError });
  }
  decoding -= 1;
  if (decoding > 0) return;
  clearInterval(watch);
  watch = undefined;
}

function decode(order: DecodeOrder, bytes: Buffer): Promise<Decoded> {
  const { path } = order;
  if (path === undefined) return reduce(sharp!, heldSource(bytes), order);
  return withFile({ ...order, path }, (source) => reduce(sharp!, source, order));
}

function endIfTooLarge(): void {
  if (process.memoryUsage.rss() > MAX_RESIDENT_BYTES) process.kill(process.pid, 'SIGKILL');
}

function tell(message: FromWorker): void {
  process.send?.(message);
}

function whyOf(error: unknown): string {
  return error instanceof Error ? error.message : `${error}`;
}
