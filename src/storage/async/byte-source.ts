/** Reads the bytes of a save from their source, chunk by chunk, with cancellation. */

import { StorageError, throwIfCancelled } from '../domain/errors.ts';
import type { ByteBatch, ByteSource } from '../domain/requests.ts';

/**
 * Calls `take` with each chunk or batch of the source, and requests the next once that has resolved (back-pressure). Rejects
 * with CANCELLED as soon as the signal fires, also while the source is silent.
 */
export async function forEachChunk(
  source: ByteSource,
  signal: AbortSignal | undefined,
  take: (bytes: Uint8Array | ByteBatch) => Promise<void>,
): Promise<void> {
  throwIfCancelled(signal);
  if (source instanceof Uint8Array) return take(source);
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  try {
    for (;;) {
      const { done, value } = await unlessCancelled(Promise.resolve(iterator.next()), signal);
      if (done) return;
      await take(value);
    }
  } finally {
    // Not awaited: `return` of a source that hangs never resolves.
    Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/**
 * Waits for the work. Rejects with CANCELLED as soon as the signal fires. Promise.race would retain every chunk until
 * the signal fires.
 */
export function unlessCancelled<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const cancel = () => reject(new StorageError('CANCELLED', 'the call was cancelled'));
    const settled = () => signal.removeEventListener('abort', cancel);
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    work.then(resolve, reject).then(settled);
  });
}
