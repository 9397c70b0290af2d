/** Walks RIFF, the container of WebP: chunks, each padded to an even length. */
import { damaged, reach, read, type Visit, type Walk } from './walk.ts';

const FILE_HEADER_BYTES = 12;
const HEADER_BYTES = 8;

/** Returns whether the file is a RIFF of that form, such as `WEBP`. */
export function isRiff(head: Buffer, form: string): boolean {
  return head.toString('latin1', 0, 4) === 'RIFF' && head.toString('latin1', 8, 12) === form;
}

/** Walks the chunks up to the end that the file header declares. */
export function* walkRiff(visit: Visit): Walk {
  const end = HEADER_BYTES + (yield read(0, FILE_HEADER_BYTES)).readUInt32LE(4);
  let at = FILE_HEADER_BYTES;
  while (at < end) {
    const header = yield read(at, HEADER_BYTES);
    const lengthBytes = header.readUInt32LE(4);
    at += HEADER_BYTES;
    if (at + lengthBytes > end) throw damaged('a WebP chunk that reaches beyond its container');
    const reading = visit({ type: header.toString('latin1', 0, 4), at, lengthBytes });
    if (reading !== undefined) yield* reading;
    // Some writers leave out the padding of the last chunk.
    at = Math.min(at + lengthBytes + (lengthBytes % 2), end);
  }
  yield reach(at);
}
