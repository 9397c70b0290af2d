/** Walks RIFF, the container of WebP: chunks, each padded to an even length. */
import { checkParts, damaged, NOTHING, reach, read, typeAt, type Visit, type Walk } from './walk.ts';

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
  let [bytes, bytesAt] = [NOTHING, at];
  for (let parts = 1; at < end; parts += 1) {
    if (at + HEADER_BYTES > bytesAt + bytes.length) [bytes, bytesAt] = [yield read(at, HEADER_BYTES), at];
    const type = typeAt(bytes, at - bytesAt);
    const lengthBytes = bytes.readUInt32LE(at - bytesAt + 4);
    at += HEADER_BYTES;
    if (at + lengthBytes > end) throw damaged('a WebP chunk that reaches beyond its container');
    checkParts(parts);
    const reading = visit({ type, at, lengthBytes });
    if (reading !== undefined) {
      yield* reading;
      bytes = NOTHING;
    }
    // Some writers leave out the padding of the last chunk.
    at = Math.min(at + lengthBytes + (lengthBytes % 2), end);
  }
  yield reach(at);
}
