/** GIF, also animated: the blocks from the logical screen to the trailer. */
import { type Demand, damaged, dimensions, type Format, type Parser, skip, take } from './parser.ts';

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

function* parse(): Parser {
  const screen = yield take(13);
  const size = dimensions(screen.readUInt16LE(6), screen.readUInt16LE(8));
  yield skip(colorTableBytes(screen[10]!));
  let hasImage = false;
  for (;;) {
    const block = (yield take(1))[0];
    if (block === TRAILER) break;
    if (block === IMAGE) yield* imageData();
    else if (block === EXTENSION) yield* subBlocks(1);
    else throw damaged('no GIF block where one must begin');
    hasImage ||= block === IMAGE;
  }
  if (!hasImage) throw damaged('a GIF without an image');
  return size;
}

function* imageData(): Generator<Demand, void, Buffer> {
  const descriptor = yield take(9);
  yield* subBlocks(colorTableBytes(descriptor[8]!) + 1);
}

/** The sub-blocks behind so many bytes, up to the empty one that ends them. */
function* subBlocks(before: number): Generator<Demand, void, Buffer> {
  let length = before;
  do {
    yield skip(length);
    length = (yield take(1))[0]!;
  } while (length > 0);
}

function colorTableBytes(flags: number): number {
  return (flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1);
}
