/** Serves small reads from larger ones, since each may open a file or send a request. */
import { NOTHING } from '../formats/walk.ts';
import type { ReadAt } from './read-at.ts';

/** Holds the metadata of most images. */
const HEAD_BYTES = 32 * 1024;
const WINDOW_BYTES = 16 * 1024;

/** Keeps what was read last. */
export function windowed(readAt: ReadAt): ReadAt {
  let [window, windowAt, isEnd] = [NOTHING, 0, false];
  const holds = (position: number, end: number) =>
    position >= windowAt && position <= windowAt + window.length && (isEnd || end <= windowAt + window.length);
  return async (position, lengthBytes) => {
    const end = position + lengthBytes;
    if (!holds(position, end)) {
      const wanted = Math.max(lengthBytes, position === 0 ? HEAD_BYTES : WINDOW_BYTES);
      const bytes = await readAt(position, wanted);
      // What is large is read once.
      if (lengthBytes > HEAD_BYTES) return bytes.subarray(0, lengthBytes);
      [window, windowAt, isEnd] = [bytes, position, bytes.length < wanted];
    }
    return window.subarray(position - windowAt, end - windowAt);
  };
}
