/** Sends the bytes of an image in large pieces, and keeps back the last one until they are known to be sound. */

import { withHold } from '../rpc/answers.ts';
import type { CallMemory } from '../rpc/memory.ts';
import { closedOn, costOfBody } from '../rpc/routes.ts';
import { turnOf } from '../storage/async/fair-turn.ts';
import { throwIfCancelled } from '../storage/domain/errors.ts';
import type { StoredImage } from '../storage/domain/image.ts';
import { cut } from './errors.ts';
import type { Exchange } from './plain-routes.ts';
import type { HttpResponse } from './router.ts';

/** How long a client may read nothing of a piece. */
export const UNREAD_MS = 60_000;

/**
 * Nothing is sent before the first piece is read, so that an image that cannot be read is answered as an error. Where the
 * bytes of a whole image are not those that were saved, the connection is cut before the last byte.
 */
export async function sendBody(
  { response, caller, signal }: Pick<Exchange, 'response' | 'caller' | 'signal'>,
  { item, body }: StoredImage,
  length: number,
  memory: CallMemory,
): Promise<void> {
  const receiver = { budget: memory.kept, caller, signal };
  let left = length;
  let last: Uint8Array | undefined;
  for await (const piece of withHold(closedOn(signal, body), costOfBody(item), receiver)) {
    await turnOf(caller);
    throwIfCancelled(signal);
    left -= piece.length;
    const now = left === 0 ? piece.subarray(0, -1) : piece;
    // Behind this piece, its memory is used again.
    if (left === 0) last = Buffer.of(piece.at(-1)!);
    await write(response, now, signal);
  }
  response.end(last!);
}

/**
 * Resolves once the bytes are out, and their memory may be used again; rejects when the client has left. One that reads
 * nothing is cut: what it keeps, others wait for.
 */
export function write(response: HttpResponse, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  if (bytes.length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const leave = () => {
      clearTimeout(stalled);
      reject(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
    const stalled = setTimeout(cut, UNREAD_MS, response);
    (response as NodeJS.WritableStream).write(bytes, (error?: Error | null) => {
      signal.removeEventListener('abort', leave);
      clearTimeout(stalled);
      if (error) reject(error);
      else resolve();
    });
  });
}
