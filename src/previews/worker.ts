/** The process that decodes: takes the bytes of images from the daemon, and gives their previews back. */
import type Sharp from 'sharp';
import type { DecodeOrder, FromWorker, ToWorker } from './messages.ts';
import { reduce } from './reduce.ts';

/** An image that arrives. */
interface Arriving {
  order: DecodeOrder;
  bytes: Buffer;
  received: number;
}

const arriving = new Map<number, Arriving>();
const sharp = await loadSharp();

if (sharp !== undefined) {
  // What one image has left is of no use for another.
  sharp.cache(false);
  sharp.concurrency(1);
  process.on('message', (message) => take(message as ToWorker));
  tell({ kind: 'ready' });
}
// Whoever asked is gone: not even a decoder that is at work keeps this process.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

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
    arriving.set(id, { order, bytes: Buffer.allocUnsafeSlow(order.sizeBytes), received: 0 });
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
  if (message.kind === 'decode') void decode(id, image);
}

async function decode(id: number, { order, bytes }: Arriving): Promise<void> {
  try {
    tell({ kind: 'decoded', id, decoded: await reduce(sharp!, bytes, order) });
  } catch (error) {
    tell({ kind: 'failed', id, why: whyOf(error) });
  }
}

function tell(message: FromWorker): void {
  process.send?.(message);
}

function whyOf(error: unknown): string {
  return error instanceof Error ? error.message : `${error}`;
}
