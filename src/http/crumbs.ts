/** Looks at the size of the pieces in which a request comes. */
import type { Readable } from 'node:stream';

/** Ends the connection of a request that comes in crumbs: each costs as much as a piece of many bytes. */
export function watchCrumbs(
  request: Readable,
  isTooMuch: (piece: Uint8Array) => boolean,
  endConnection: () => void,
): void {
  const { push } = request;
  let isEnding = false;
  request.push = (piece: Uint8Array | null) => {
    if (isEnding) return true;
    isEnding = piece !== null && isTooMuch(piece);
    // Not within the reading of the connection, which goes on behind this.
    if (isEnding) setImmediate(endConnection);
    return push.call(request, piece);
  };
}
