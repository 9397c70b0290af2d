/** Looks at the pieces in which a request comes. */
import type { Readable } from 'node:stream';
import { leaveBehind } from './garbage.ts';

/**
 * Tells of a request that comes in crumbs: each costs as much as a piece of many bytes. Nothing is taken from then on. Counts
 * the bytes, whoever reads or drops them: Node has made a buffer for each piece, which only the collector frees.
 */
export function watchPieces(
  request: Readable,
  isTooMuch: (piece: Uint8Array) => boolean,
  endConnection: () => void,
): void {
  const { push } = request;
  let isEnding = false;
  request.push = (piece: Uint8Array | null) => {
    if (isEnding || piece === null) return isEnding || push.call(request, null);
    isEnding = isTooMuch(piece);
    if (isEnding) {
      endConnection();
      return true;
    }
    const takesMore = push.call(request, piece);
    leaveBehind(piece.length);
    return takesMore;
  };
}
