/** The bytes of a save as their source gives them, chunk by chunk, for as long as nobody cancels. */

import { StorageError, throwIfCancelled } from '../domain/errors.ts';
import type { ByteSource } from '../domain/requests.ts';

/** The source's chunks; CANCELLED as soon as the signal fires, also while the source gives nothing. */
export async function* chunksOf(source: ByteSource, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  throwIfCancelled(signal);
  if (source instanceof Uint8Array) {
    yield source;
    return;
  }
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  try {
    for (;;) {
      const { done, value } = await unlessCancelled(Promise.resolve(iterator.next()), signal);
      if (done) return;
      yield value;
    }
  } finally {
    // Not awaited: a source that hangs never returns.
    Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/** Not Promise.race: that would keep every chunk for as long as the signal has not fired. */
function unlessCancelled<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const cancel = () => reject(new StorageError('CANCELLED', 'the call was cancelled'));
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', cancel));
  });
}
