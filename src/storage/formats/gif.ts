/** Parses GIF, also animated: the blocks from the logical screen to the trailer. */
import { dimensions, type Format, type Parser } from './parser.ts';
import { type Demand, damaged, read } from './walk.ts';

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

function* parse(): Parser {
  const screen = yield read(0, SCREEN_BYTES);
  const size = dimensions(screen.readUInt16LE(6), screen.readUInt16LE(8));
  let at = SCREEN_BYTES + colorTableBytes(screen[10]!);
  let hasImage = false;
  for (;;) {
    const block = (yield read(at, 1))[0];
    at += 1;
    if (block === TRAILER) break;
    if (block === IMAGE) at = yield* imageData(at);
    else if (block === EXTENSION) at = yield* subBlocks(at + 1);
    else throw damaged('no GIF block where one must begin');
    hasImage ||= block === IMAGE;
  }
  if (!hasImage) throw damaged('a GIF without an image');
  return size;
}

/** Returns the offset at which a block ends. */
type Block = Generator<Demand, number, Buffer>;

function* imageData(at: number): Block {
  const descriptor = yield read(at, DESCRIPTOR_BYTES);
  return yield* subBlocks(at + DESCRIPTOR_BYTES + colorTableBytes(descriptor[8]!) + 1);
}

/** Skips sub-blocks, up to and including the empty one that ends them. */
function* subBlocks(first: number): Block {
  let at = first;
  for (;;) {
    const length = (yield read(at, 1))[0]!;
    at += 1 + length;
    if (length === 0) return at;
  }
}

function colorTableBytes(flags: number): number {
  return (flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1);
}
