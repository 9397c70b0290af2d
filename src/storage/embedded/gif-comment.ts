/** Reads the first comment of a GIF. */
import { NOTHING } from '../formats/walk.ts';
import type { ReadAt } from './read-at.ts';

const SCREEN_BYTES = 13;
const [EXTENSION, COMMENT, IMAGE] = [0x21, 0xfe, 0x2c];
/** The most blocks to look at; encoders write the comment before the first image or behind a few extensions. */
const MAX_BLOCKS = 64;
const MAX_COMMENT_BYTES = 1024 * 1024;
/** The most sub-blocks of 255 bytes to look at, pixels included. */
const MAX_SUB_BLOCKS = 4_000;

/** Returns undefined when there is none before the second image. Requires a GIF. */
export async function readGifComment(readAt: ReadAt): Promise<Buffer | undefined> {
  const walk = new GifWalk(readAt);
  const screen = await walk.take(SCREEN_BYTES);
  walk.skip(colorTableBytes(screen[10] ?? 0));
  for (let left = MAX_BLOCKS; left > 0; left -= 1) {
    const [kind] = await walk.take(1);
    if (kind === IMAGE) {
      const descriptor = await walk.take(9);
      walk.skip(colorTableBytes(descriptor[8] ?? 0) + 1);
      await walk.subBlocks(0);
    } else if (kind === EXTENSION) {
      const [label] = await walk.take(1);
      const data = await walk.subBlocks(label === COMMENT ? MAX_COMMENT_BYTES : 0);
      if (label === COMMENT && data.length > 0) return data;
    } else return undefined;
  }
  return undefined;
}

class GifWalk {
  readonly #readAt: ReadAt;
  #at = 0;
  #subBlocksLeft = MAX_SUB_BLOCKS;

  constructor(readAt: ReadAt) {
    this.#readAt = readAt;
  }

  async take(lengthBytes: number): Promise<Buffer> {
    const bytes = await this.#readAt(this.#at, lengthBytes);
    this.#at += lengthBytes;
    return bytes;
  }

  skip(lengthBytes: number): void {
    this.#at += lengthBytes;
  }

  /** Returns the beginning of the data up to the empty sub-block. */
  async subBlocks(maxBytes: number): Promise<Buffer> {
    const data: Buffer[] = [];
    for (let bytes = 0; this.#subBlocksLeft > 0; this.#subBlocksLeft -= 1) {
      const [length = 0] = await this.take(1);
      if (length === 0) break;
      bytes += length;
      if (bytes <= maxBytes) data.push(await this.take(length));
      else this.skip(length);
    }
    return data.length === 0 ? NOTHING : Buffer.concat(data);
  }
}

function colorTableBytes(flags: number): number {
  return (flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1);
}
