/** Parses GIF, also animated: the blocks from the logical screen to the trailer. */
import { dimensions, type Format, type Parser } from './parser.ts';
import { checkParts, damaged, NOTHING, read } from './walk.ts';

const SCREEN_BYTES = 13;
const DESCRIPTOR_BYTES = 9;
const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;

export const gif: Format = {
  contentType: 'image/gif',
  extension: 'gif',
  name: 'GIF',
  end: 'trailer',
  matches: (head) => /^GIF8[79]a$/.test(head.toString('latin1', 0, 6)),
  parse,
};

/** What the next byte is. */
type Expected = 'block' | 'flags' | 'length';

function* parse(): Parser {
  const screen = yield read(0, SCREEN_BYTES);
  const size = dimensions(screen.readUInt16LE(6), screen.readUInt16LE(8));
  let at = SCREEN_BYTES + colorTableBytes(screen[10]!);
  let [bytes, bytesAt] = [NOTHING, at];
  let expected: Expected = 'block';
  let hasImage = false;
  for (let blocks = 0; ; ) {
    if (at >= bytesAt + bytes.length) [bytes, bytesAt] = [yield read(at, 1), at];
    const byte = bytes[at - bytesAt]!;
    at += 1;
    if (expected === 'length') {
      // An empty sub-block is the last.
      if (byte === 0) expected = 'block';
      else at += byte;
    } else if (expected === 'flags') {
      at += colorTableBytes(byte) + 1;
      expected = 'length';
    } else if (byte === EXTENSION) {
      at += 1;
      expected = 'length';
      blocks += 1;
    } else if (byte === IMAGE) {
      at += DESCRIPTOR_BYTES - 1;
      expected = 'flags';
      hasImage = true;
      blocks += 1;
    } else if (byte === TRAILER) break;
    else throw damaged('no GIF block where one must begin');
    checkParts(blocks);
  }
  if (!hasImage) throw damaged('a GIF without an image');
  return size;
}

function colorTableBytes(flags: number): number {
  return (flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1);
}
